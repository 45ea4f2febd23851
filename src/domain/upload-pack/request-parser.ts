import type { Packet } from '#base/pkt-line/packet';
import { PacketParser } from '#base/pkt-line/packet-parser';

/** The command `ls-refs` of git's protocol v2. */
export interface LsRefsRequest {
  readonly name: 'ls-refs';
  readonly peel: boolean;
  readonly symrefs: boolean;
  readonly unborn: boolean;
  readonly prefixes: readonly Buffer[];
  readonly objectFormat: string;
}

/** The command `fetch`, whose answer may be sent to several clients. */
export interface FetchRequest {
  readonly name: 'fetch';
  /** The lines that determine the answer, as a key. */
  readonly key: string;
  /** Wanted objects, as hexadecimal ids. */
  readonly wants: readonly string[];
  /** The other arguments. */
  readonly others: readonly string[];
  /** True if the client negotiates no further. */
  readonly isDone: boolean;
}

export type FetchCommand = LsRefsRequest | FetchRequest;

/** Prefixes of a thousand branches take a tenth of it. */
const MAX_LS_REFS_BYTES = 1024 * 1024;
/** A clone of 10,000 branches and tags; parsing it takes some milliseconds. */
const MAX_FETCH_BYTES = 512 * 1024;
/** Larger requests of clients that have objects list some that no other client has. */
const MAX_NEGOTIATING_BYTES = 64 * 1024;
/** A client that sends less at a time gets a git of its own. */
const MAX_CHUNKS = 4096;

const LS_REFS = 'command=ls-refs';
const FETCH = 'command=fetch';
/** git assumes it for a client that sends no format. */
const DEFAULT_OBJECT_FORMAT = 'sha1';
const PREFIX = 'ref-prefix ';
/** Capabilities that have no effect on the answer to a fetch. */
const CLIENT = /^(?:agent|session-id)=/;
const FORMAT = /^object-format=/;
const ID = '[0-9a-f]{40}(?:[0-9a-f]{24})?';
const HAVE = /^have /;
const WANT = new RegExp(`^want (${ID})$`);
/**
 * Arguments with which an answer stays right: an object that was found stays the same, and a pack
 * that lacks what was added since is still complete for the request. Not among them are
 * references by name (`want-ref`, `deepen-not`), which move.
 */
const ARGUMENT = new RegExp(
  `^(?:have ${ID}|shallow ${ID}|thin-pack|no-progress|include-tag|ofs-delta|done|wait-for-done` +
    `|sideband-all|deepen \\d+|deepen-relative|deepen-since \\d+|filter [\\w:=.+%]+)$`,
);

/** Parses one request of protocol v2 from a client's bytes as they arrive. */
export class RequestParser {
  readonly #parser = new PacketParser();
  readonly #chunks: Buffer[] = [];
  readonly #packets: Packet[] = [];
  #size = 0;
  #isEnded = false;

  /** All bytes received so far. */
  get bytes(): Buffer {
    const [only] = this.#chunks;
    return this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks, this.#size);
  }

  /**
   * Takes the next bytes. `more` means that the request goes on. `other` means anything that git
   * has to handle: another command, unusual capabilities or arguments, bytes behind the end.
   */
  push(chunk: Uint8Array): FetchCommand | 'more' | 'other' {
    this.#chunks.push(Buffer.from(chunk));
    this.#size += chunk.length;
    for (const packet of this.#parser.push(chunk)) {
      if (this.#isEnded) return 'other';
      if (packet === 'flush') this.#isEnded = true;
      else this.#packets.push(packet);
    }
    const limit = lineOf(this.#packets[0]) === LS_REFS ? MAX_LS_REFS_BYTES : MAX_FETCH_BYTES;
    if (!this.#parser.isReadable || this.#size > limit) return 'other';
    if (!this.#isEnded) return this.#chunks.length < MAX_CHUNKS ? 'more' : 'other';
    return (this.#parser.isWhole ? parse(this.#packets, this.#size) : undefined) ?? 'other';
  }
}

/** Returns a line without its line feed; `undefined` for a packet without payload. */
function lineOf(packet: Packet | undefined): string | undefined {
  return typeof packet === 'object' ? packet.toString('latin1').replace(/\n$/, '') : undefined;
}

function parse(packets: readonly Packet[], size: number): FetchCommand | undefined {
  const delimiter = packets.indexOf('delimiter');
  const head = linesOf(delimiter === -1 ? packets : packets.slice(0, delimiter));
  const words = delimiter === -1 ? [] : linesOf(packets.slice(delimiter + 1));
  if (head === undefined || words === undefined) return undefined;
  const [command, ...capabilities] = head;
  if (command === LS_REFS) return lsRefsRequest(capabilities, words);
  return command === FETCH ? fetchRequest(capabilities, words, size) : undefined;
}

/** @returns `undefined` for another packet among them, or a NUL, at which git stops reading. */
function linesOf(packets: readonly Packet[]): string[] | undefined {
  const lines: string[] = [];
  for (const packet of packets) {
    const line = lineOf(packet);
    if (line === undefined || line.includes('\0')) return undefined;
    lines.push(line);
  }
  return lines;
}

function lsRefsRequest(capabilities: readonly string[], words: readonly string[]): LsRefsRequest | undefined {
  const values = new Map<string, string>();
  for (const line of capabilities) {
    const [, name, value] = /^(agent|object-format)=(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined || values.has(name)) return undefined;
    values.set(name, value);
  }
  const flags = { peel: false, symrefs: false, unborn: false };
  const prefixes: Buffer[] = [];
  for (const word of words) {
    if (word.startsWith(PREFIX)) prefixes.push(Buffer.from(word.slice(PREFIX.length), 'latin1'));
    else if (word === 'peel' || word === 'symrefs' || word === 'unborn') flags[word] = true;
    else return undefined;
  }
  const objectFormat = values.get('object-format') ?? DEFAULT_OBJECT_FORMAT;
  return { name: 'ls-refs', ...flags, prefixes, objectFormat };
}

function fetchRequest(
  capabilities: readonly string[],
  words: readonly string[],
  size: number,
): FetchRequest | undefined {
  const relevant = capabilities.filter((line) => !CLIENT.test(line));
  if (!relevant.every((line) => FORMAT.test(line))) return undefined;
  const wants: string[] = [];
  const others: string[] = [];
  for (const word of words) {
    const want = WANT.exec(word)?.[1];
    if (want !== undefined) wants.push(want);
    else if (ARGUMENT.test(word)) others.push(word);
    else return undefined;
  }
  if (wants.length === 0) return undefined;
  if (size > MAX_NEGOTIATING_BYTES && others.some((word) => HAVE.test(word))) return undefined;
  const key = [...relevant, '', ...words].join('\n');
  return { name: 'fetch', key, wants, others, isDone: others.includes('done') };
}
