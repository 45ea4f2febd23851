import { DiffFormatError } from './diff-format-error.ts';

/** Limit of a buffered line: one that names two paths. */
const MAX_LINE_BYTES = 2 << 20;
const LINE_FEED = 0x0a;
const EMPTY = Buffer.alloc(0);

/** Reads a stream of bytes chunk by chunk, and copies only data that spans two chunks. */
export class ChunkReader {
  /** The current chunk. Bytes before `at` have been read. */
  buffer: Buffer = EMPTY;
  at = 0;
  isEnded = false;
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /**
   * Appends the next chunk to the rest of this one, which is copied and should be short. Returns
   * false at the end.
   */
  async more(): Promise<boolean> {
    if (this.isEnded) return false;
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.isEnded = true;
      return false;
    }
    const chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    const rest = this.buffer.subarray(this.at);
    this.buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.at = 0;
    return true;
  }

  /**
   * Returns the next line without its delimiter if it is buffered; otherwise `undefined`, see
   * {@link more}. A last line without a delimiter is dropped.
   *
   * @throws {DiffFormatError} when it is longer than 2 MiB.
   */
  lineAtHand(): Buffer | undefined {
    const end = this.buffer.indexOf(LINE_FEED, this.at);
    if (end === -1) {
      if (this.buffer.length - this.at > MAX_LINE_BYTES)
        throw new DiffFormatError(`line exceeds ${MAX_LINE_BYTES} bytes`);
      if (this.isEnded) this.at = this.buffer.length;
      return undefined;
    }
    const line = this.buffer.subarray(this.at, end);
    this.at = end + 1;
    return line;
  }

  /** Closes the source. */
  async close(): Promise<void> {
    this.isEnded = true;
    await this.#chunks.return?.();
  }
}
