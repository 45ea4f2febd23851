import { DiffFormatError } from './diff-format-error.ts';

/** The longest line that is ever held: one that names two paths. */
const MAX_LINE_BYTES = 2 << 20;
const LINE_FEED = 0x0a;
const EMPTY = Buffer.alloc(0);

/** Looks at a stream of bytes chunk by chunk, without copying but for what lies across the border of two. */
export class ChunkReader {
  /** The chunk at hand. What lies before `at` is done with. */
  buffer: Buffer = EMPTY;
  at = 0;
  isEnded = false;
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Puts the next chunk behind the rest of this one (which is copied: it should be short). False at the end. */
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

  /** Whether there is a byte at `at`; waits for one. */
  async hasByte(): Promise<boolean> {
    while (this.at >= this.buffer.length) if (!(await this.more())) return false;
    return true;
  }

  /**
   * The next line without its end; `undefined` at the end of the stream, also when a line lacks its end there.
   *
   * @throws {DiffFormatError} when it is longer than 2 MiB.
   */
  async line(): Promise<Buffer | undefined> {
    let searched = this.at;
    for (;;) {
      const end = this.buffer.indexOf(LINE_FEED, searched);
      if (end !== -1) {
        const line = this.buffer.subarray(this.at, end);
        this.at = end + 1;
        return line;
      }
      const held = this.buffer.length - this.at;
      if (held > MAX_LINE_BYTES) throw new DiffFormatError(`line exceeds ${MAX_LINE_BYTES} bytes`);
      if (!(await this.more())) {
        this.at = this.buffer.length;
        return undefined;
      }
      searched = held;
    }
  }

  /** Leaves the source. */
  async close(): Promise<void> {
    this.isEnded = true;
    await this.#chunks.return?.();
  }
}
