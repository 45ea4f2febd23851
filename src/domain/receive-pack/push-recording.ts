import { Readable } from 'node:stream';
import { type PacketSink, PacketSplitter } from '#base/pkt-line/packet-splitter';
import type { Repository } from '#storage/repository';

/** A push that names more bytes of references may change any. */
const MAX_BYTES = 16 * 1024 * 1024;
const COMMAND = /^[0-9a-f]{40,64} ([0-9a-f]{40,64}) ([^\0\n]+)/;
const DELETION = /^0+$/;
const SHALLOW = /^shallow [0-9a-f]+\n?$/;

/** Records the changes of a push, if a listener is registered. Disposed of when git has ended. */
export class PushRecording implements AsyncDisposable {
  readonly #repository: Repository;
  #recording: Promise<AsyncDisposable | undefined> | undefined;

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** Returns the input for git, which gets the end of its commands after they are noted. */
  watch(input: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const { changeRecorder } = this.#repository;
    if (changeRecorder === undefined) return input;
    // The end of reading a sidechannel must leave its write side open.
    const chunks = input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input;
    return reportingNames(chunks, async (wanted) => {
      const names = wanted && [...wanted.keys()];
      this.#recording = changeRecorder.begin(this.#repository, names, { wanted });
      await this.#recording;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const recording = await this.#recording;
    await recording?.[Symbol.asyncDispose]();
  }
}

/** Collects the names of a push's commands, until the flush packet that ends them. */
class Commands implements PacketSink {
  /** New values by name; `undefined` for a deletion. */
  readonly values = new Map<string, string | undefined>();
  isKnown = true;
  isOver = false;
  #pieces: Buffer[] = [];
  #left = 0;

  packet(length: number): boolean {
    this.isOver = length === 0;
    this.#left = length - 4;
    return !this.isOver;
  }

  payload(piece: Buffer): void {
    this.#pieces.push(Buffer.from(piece));
    this.#left -= piece.length;
    if (this.#left > 0) return;
    const text = Buffer.concat(this.#pieces).toString('latin1');
    this.#pieces = [];
    const [, oid = '', name] = COMMAND.exec(text) ?? [];
    if (name !== undefined) this.values.set(name, DELETION.test(oid) ? undefined : oid);
    else if (!SHALLOW.test(text)) this.isKnown = false; // a signed push, for instance
  }
}

/**
 * Passes the input of a push on, and reports the references that it names before git gets the
 * packet that starts their change.
 *
 * @param onNames gets the new values by full name, one character per byte; `undefined` if they are
 *   not known.
 */
async function* reportingNames(
  input: AsyncIterable<Uint8Array>,
  onNames: (values: ReadonlyMap<string, string | undefined> | undefined) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const commands = new Commands();
  const splitter = new PacketSplitter(commands);
  let bytes = 0;
  let isReported = false;
  for await (const chunk of input) {
    if (!isReported) {
      bytes += chunk.length;
      const isValid = parses(splitter, chunk) && bytes <= MAX_BYTES;
      if (commands.isOver || !isValid) {
        isReported = true;
        await onNames(isValid && commands.isKnown ? commands.values : undefined);
      }
    }
    yield chunk;
  }
}

function parses(splitter: PacketSplitter, chunk: Uint8Array): boolean {
  try {
    splitter.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    return true;
  } catch {
    return false; // git will refuse it
  }
}
