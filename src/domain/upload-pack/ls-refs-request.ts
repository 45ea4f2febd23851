import { type Packet, packetAt, sizeOfPacket } from '#base/pkt-line/packet';

/** Request of a client with the command `ls-refs` of git's protocol v2. */
export interface LsRefsRequest {
  readonly peel: boolean;
  readonly symrefs: boolean;
  readonly unborn: boolean;
  readonly prefixes: readonly Buffer[];
  readonly objectFormat: string;
}

/** Prefixes of a thousand branches take a tenth of it. */
const MAX_REQUEST_BYTES = 1024 * 1024;
/** For a client that sends single bytes, git is cheaper. */
const MAX_CHUNKS = 1_000;
const LF = 0x0a;

/** git assumes it for a client that sends no format. */
const DEFAULT_OBJECT_FORMAT = 'sha1';

/** Parses a request from a client's bytes as they arrive. */
export class LsRefsParser {
  #bytes: Buffer = Buffer.alloc(0);
  readonly #packets: Packet[] = [];
  #at = 0;
  #chunks = 0;

  /** All bytes received so far. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /**
   * Takes the next bytes. `more` means that a request may still follow. `other` means anything that
   * git has to handle: another command, an unusual capability, bytes behind the end.
   */
  push(chunk: Uint8Array): LsRefsRequest | 'more' | 'other' {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#chunks++;
    if (this.#bytes.length > MAX_REQUEST_BYTES || this.#chunks > MAX_CHUNKS) return 'other';
    while (this.#packets.at(-1) !== 'flush') {
      const packet = packetAt(this.#bytes, this.#at);
      if (packet === 'invalid' || packet === 'response-end' || packet === 'reserved') return 'other';
      if (packet === 'incomplete') return isPossible(this.#packets) ? 'more' : 'other';
      this.#at += sizeOfPacket(packet);
      this.#packets.push(packet);
    }
    return this.#at === this.#bytes.length ? (toRequest(this.#packets) ?? 'other') : 'other';
  }
}

/**
 * Reports whether the first packet may begin an `ls-refs`. A fetch, which may be long, is
 * recognised by its first packet.
 */
function isPossible([first]: readonly Packet[]): boolean {
  return first === undefined || (typeof first !== 'string' && lineOf(first).equals(COMMAND));
}

const COMMAND = Buffer.from('command=ls-refs');

function toRequest(packets: readonly Packet[]): LsRefsRequest | undefined {
  const delimiter = packets.indexOf('delimiter');
  const end = packets.length - 1;
  const capabilities = linesOf(packets.slice(0, delimiter === -1 ? end : delimiter));
  const words = delimiter === -1 ? [] : linesOf(packets.slice(delimiter + 1, end));
  const objectFormat = capabilities && readCapabilities(capabilities);
  return objectFormat === undefined || words === undefined ? undefined : readArguments(words, objectFormat);
}

/**
 * Returns the lines without their line feeds; `undefined` when there is another packet between
 * them, or a NUL, at which git stops reading.
 */
function linesOf(packets: readonly Packet[]): Buffer[] | undefined {
  const lines: Buffer[] = [];
  for (const packet of packets) {
    if (typeof packet === 'string' || packet.includes(0)) return undefined;
    lines.push(lineOf(packet));
  }
  return lines;
}

function lineOf(packet: Buffer): Buffer {
  return packet.at(-1) === LF ? packet.subarray(0, -1) : packet;
}

/**
 * Returns the client's object format; `undefined` for other capabilities than command, agent and
 * format, or for repeated ones.
 */
function readCapabilities(lines: readonly Buffer[]): string | undefined {
  const [command, ...others] = lines;
  if (command?.equals(COMMAND) !== true) return undefined;
  const values = new Map<string, string>();
  for (const line of others) {
    const [, name, value] = /^(agent|object-format)=(.*)$/s.exec(line.toString('latin1')) ?? [];
    if (name === undefined || value === undefined || values.has(name)) return undefined;
    values.set(name, value);
  }
  return values.get('object-format') ?? DEFAULT_OBJECT_FORMAT;
}

const PREFIX = 'ref-prefix ';

function readArguments(lines: readonly Buffer[], objectFormat: string): LsRefsRequest | undefined {
  const flags = { peel: false, symrefs: false, unborn: false };
  const prefixes: Buffer[] = [];
  for (const line of lines) {
    const text = line.toString('latin1');
    if (text.startsWith(PREFIX)) prefixes.push(line.subarray(PREFIX.length));
    else if (text === 'peel' || text === 'symrefs' || text === 'unborn') flags[text] = true;
    else return undefined;
  }
  return { ...flags, prefixes, objectFormat };
}
