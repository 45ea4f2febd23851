import { LoopSlice } from '#base/async/loop-turns';
import { packetAt, sizeOfPacket } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/command/in-process';
import { isOid, isZeroOid } from '#git/names/object-id';
import { parseRefName, type RefName } from '#git/names/ref-name';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import type { HeldInput } from './held-input.ts';

/** The change of one reference. */
export interface PushCommand {
  readonly reference: RefName;
  /** Zeros if the reference is to be created. */
  readonly oldOid: string;
  readonly newOid: string;
}

/** A push of one reference, or one that creates many, up to the header of its pack. */
export interface PushRequest {
  /** One change, or at least 16 creations of different references. */
  readonly commands: readonly [PushCommand, ...PushCommand[]];
  readonly report: boolean;
  readonly isQuiet: boolean;
  readonly isAtomic: boolean;
  readonly pushOptions: readonly string[];
  /** Number of objects in the pack. */
  readonly objects: number;
  /** The bytes that were read after the header of the pack. */
  readonly rest: Buffer;
}

/** From this number on git keeps the pack instead of unpacking it. @see git: receive.unpackLimit */
const UNPACK_LIMIT = 100;
const MAX_PUSH_OPTIONS = 100;
/** Limit of the commands; the input keeps 1 MiB for git. */
const MAX_COMMANDS_BYTES = 768 * 1024;
/** Limit of everything between the commands and the pack. Clients send some hundred bytes. */
const MAX_OPTIONS_BYTES = 64 * 1024;
/** Fewer new references take less time as loose files. Gitaly packs from this number on, too. */
const MIN_CREATIONS = 16;

const COMMAND = /^([0-9a-f]+) ([0-9a-f]+) ([^\0\n]+)(?:\0([^\0\n]*))?$/;
/** The capabilities that change nothing here. */
const IGNORED = /^(?:agent|session-id)=/;
const REPORTS: ReadonlySet<string> = new Set(['report-status', 'report-status-v2']);

const OTHER_COMMANDS = new FallBackToGit('the push is not a change of one reference');
const NO_CHANGE = new FallBackToGit('the push is not a creation or an update');
const OTHER_CAPABILITIES = new FallBackToGit('the client has other capabilities');
const OTHER_PACK = new FallBackToGit('the pack is not a small one');
const OTHER_INPUT = new FallBackToGit('the push has another form');

/**
 * Reads the beginning of a push. Returns `nothing` if the client has nothing to push.
 *
 * @throws {FallBackToGit} for everything but a creation or an update of one reference, or the
 *   creation of many, with a pack of fewer than 100 objects.
 */
export async function readPushRequest(
  input: HeldInput,
  objectFormat: ObjectFormatName,
): Promise<PushRequest | 'nothing'> {
  const reader = new RequestReader(input);
  const first = await reader.packet();
  if (first === 'flush') return 'nothing';
  const { capabilities = '', ...command } = parseCommand(first, objectFormat);
  const known = parseCapabilities(capabilities, objectFormat);
  const others = await readFurtherCommands(reader, objectFormat);
  if (others.length > 0) requireCreations([command, ...others], known);
  reader.allow(MAX_OPTIONS_BYTES);
  const pushOptions = known.has('push-options') ? await readPushOptions(reader) : [];
  const header = await reader.bytes(PACK_HEADER_BYTES);
  const objects = objectsInPack(header);
  if (objects === undefined || objects >= UNPACK_LIMIT) throw OTHER_PACK;
  return {
    commands: [command, ...others],
    report: [...REPORTS].some((word) => known.has(word)),
    isQuiet: known.has('quiet'),
    isAtomic: known.has('atomic'),
    pushOptions,
    objects,
    rest: reader.rest,
  };
}

/** Takes packets and bytes from the input. */
class RequestReader {
  readonly #input: HeldInput;
  #bytes: Buffer = Buffer.alloc(0);
  #left = MAX_COMMANDS_BYTES;

  constructor(input: HeldInput) {
    this.#input = input;
  }

  get rest(): Buffer {
    return this.#bytes;
  }

  /** Limits what is read from now on. */
  allow(bytes: number): void {
    this.#left = bytes;
  }

  async packet(): Promise<Buffer | 'flush'> {
    for (;;) {
      const packet = packetAt(this.#bytes, 0);
      if (packet === 'incomplete') {
        await this.#more();
        continue;
      }
      if (packet !== 'flush' && typeof packet === 'string') throw OTHER_INPUT;
      this.#take(sizeOfPacket(packet));
      return packet;
    }
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) await this.#more();
    const bytes = this.#bytes.subarray(0, length);
    this.#take(length);
    return bytes;
  }

  #take(length: number): void {
    this.#bytes = this.#bytes.subarray(length);
    this.#left -= length;
    if (this.#left < 0) throw OTHER_INPUT;
  }

  async #more(): Promise<void> {
    const chunk = await this.#input.read();
    if (chunk === undefined) throw OTHER_INPUT;
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }
}

async function readFurtherCommands(
  reader: RequestReader,
  objectFormat: ObjectFormatName,
): Promise<PushCommand[]> {
  const commands: PushCommand[] = [];
  const slice = new LoopSlice();
  for (;;) {
    const packet = await reader.packet();
    if (packet === 'flush') return commands;
    const { capabilities, ...command } = parseCommand(packet, objectFormat);
    if (capabilities !== undefined) throw OTHER_INPUT;
    commands.push(command);
    if (slice.isOverAfterItem()) await slice.pause();
  }
}

/** git makes an atomic push in one transaction, with other words if it fails. */
function requireCreations(commands: readonly PushCommand[], capabilities: ReadonlySet<string>): void {
  const names = new Set(commands.map(({ reference }) => reference.toString('latin1')));
  const areNew = commands.every(({ oldOid }) => isZeroOid(oldOid));
  if (commands.length < MIN_CREATIONS || names.size < commands.length || !areNew) throw OTHER_COMMANDS;
  if (capabilities.has('atomic')) throw OTHER_COMMANDS;
}

function parseCommand(packet: Buffer, objectFormat: ObjectFormatName) {
  const line = packet.toString('latin1', 0, packet.at(-1) === 0x0a ? packet.length - 1 : packet.length);
  const [, oldOid = '', newOid = '', name = '', capabilities] = COMMAND.exec(line) ?? [];
  const reference = parseRefName(Buffer.from(name, 'latin1'));
  const isValid = isOid(oldOid, objectFormat) && isOid(newOid, objectFormat) && reference !== undefined;
  // git refuses `refs/name`.
  if (!isValid || !/^refs\/[^/]+\//.test(name)) throw OTHER_COMMANDS;
  // After a deletion there is no pack, so that nothing more may be awaited.
  if (isZeroOid(newOid) || newOid === oldOid) throw NO_CHANGE;
  return { oldOid, newOid, reference, capabilities };
}

function parseCapabilities(text: string, objectFormat: ObjectFormatName): ReadonlySet<string> {
  const words = new Set(text.split(' ').filter((word) => word !== '' && !IGNORED.test(word)));
  const format = `object-format=${objectFormat}`;
  if (!words.delete(format) && objectFormat !== 'sha1') throw OTHER_CAPABILITIES;
  for (const word of words) if (!isKnown(word)) throw OTHER_CAPABILITIES;
  if (!words.has('side-band-64k')) throw OTHER_CAPABILITIES;
  return words;
}

function isKnown(word: string): boolean {
  return REPORTS.has(word) || /^(?:atomic|push-options|quiet|side-band-64k)$/.test(word);
}

async function readPushOptions(reader: RequestReader): Promise<string[]> {
  const options: string[] = [];
  for (;;) {
    const packet = await reader.packet();
    if (packet === 'flush') return options;
    if (packet.includes(0)) throw OTHER_INPUT;
    options.push(packet.toString('utf8', 0, packet.at(-1) === 0x0a ? packet.length - 1 : packet.length));
    if (options.length > MAX_PUSH_OPTIONS) throw OTHER_INPUT;
  }
}
