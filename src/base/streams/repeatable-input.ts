import type { Readable } from 'node:stream';
import { stoppableChunks } from './stoppable-chunks.ts';

/** Bytes from the beginning that are kept, for another iteration. */
const KEPT_BYTES = 64 << 10;

/**
 * The data of a client that a second reader may need, because the first one could not serve them:
 * each iteration yields all data from the beginning. There may be one reader at a time.
 */
export class RepeatableInput implements AsyncIterable<Uint8Array> {
  readonly #chunks: AsyncIterableIterator<Uint8Array, void>;
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** True if data were read that are not kept. */
  #isPast = false;
  /** The read that a stopped reader still waited for: the next one gets its data. */
  #reading: Promise<Uint8Array | undefined> | undefined;

  readonly #onChunk: ((chunk: Uint8Array) => void) | undefined;

  /** @param onChunk called for each chunk of the source when it is read. */
  constructor(source: Readable | AsyncIterable<Uint8Array>, onChunk?: (chunk: Uint8Array) => void) {
    this.#chunks = stoppableChunks(source);
    this.#onChunk = onChunk;
  }

  /** @throws {Error} in a second iteration after one that read more than 64 KiB. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    if (this.#isPast) throw new Error('the data were read, and are not kept');
    for (let index = 0; ; index++) {
      const kept = this.#kept[index];
      const chunk = kept ?? (await this.#next());
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /** Ends the reading of the source, which is not destroyed. */
  async stop(): Promise<void> {
    await this.#chunks.return?.();
  }

  #next(): Promise<Uint8Array | undefined> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return undefined;
    this.#onChunk?.(value);
    this.#keptBytes += value.byteLength;
    if (this.#keptBytes > KEPT_BYTES) this.#isPast = true;
    if (!this.#isPast) this.#kept.push(value);
    return value;
  }
}
