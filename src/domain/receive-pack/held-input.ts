import { Readable } from 'node:stream';
import { FallBackToGit } from '#git/command/in-process';

/**
 * Limit of the bytes that are kept for git. A push of fewer than 100 objects is seldom larger, and
 * of a larger one git's own work takes most of the time.
 */
const MAX_HELD_BYTES = 1024 * 1024;
/** Each chunk has its own memory, and may keep the memory of its frame. */
const MAX_CHUNKS = 4096;

const TOO_LARGE = new FallBackToGit('the push is large');

/**
 * The input of a push that is read here first. What was read is kept, so that git can receive
 * everything if it must process the push after all.
 */
export class HeldInput {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** The chunk that is awaited. */
  #next: Promise<IteratorResult<Uint8Array>> | undefined;
  #isReplayed = false;

  constructor(input: AsyncIterable<Uint8Array>) {
    // The end of reading a sidechannel must leave its write side open.
    this.#source =
      input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input[Symbol.asyncIterator]();
  }

  /**
   * Reads the next chunk; `undefined` at the end. Calls must not overlap.
   *
   * @throws {FallBackToGit} when more than 1 MiB or 4,096 chunks were read, or the input fails.
   */
  async read(): Promise<Buffer | undefined> {
    const { done, value } = await this.#pull().catch((cause: unknown) => {
      throw new FallBackToGit('the input failed', { cause });
    });
    // A reader that was still waiting must not take a chunk from git.
    if (done === true || this.#isReplayed) return undefined;
    this.#next = undefined;
    this.#held.push(value);
    this.#heldBytes += value.byteLength;
    if (this.#heldBytes > MAX_HELD_BYTES || this.#held.length > MAX_CHUNKS) throw TOO_LARGE;
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  /** Forgets the bytes: git will not need them. */
  release(): void {
    this.#held.length = 0;
  }

  /** Yields the input from its beginning. */
  async *replay(): AsyncGenerator<Uint8Array> {
    this.#isReplayed = true;
    for (let chunk = this.#held.shift(); chunk !== undefined; chunk = this.#held.shift()) yield chunk;
    for (;;) {
      const { done, value } = await this.#pull();
      if (done === true) return;
      this.#next = undefined;
      yield value;
    }
  }

  /** Requests a chunk, or waits for the one that was requested. The end and an error are kept. */
  #pull(): Promise<IteratorResult<Uint8Array>> {
    if (this.#next === undefined) {
      this.#next = this.#source.next();
      // The reader may have given up by then.
      this.#next.catch(() => {});
    }
    return this.#next;
  }
}
