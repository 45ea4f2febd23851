import { once } from 'node:events';
import type { ByteStream } from '#base/streams/byte-stream';

/** Gitaly's limit; enough for every message of git, small enough for thousands of processes. */
const HEAD_BYTES = 10_000;

/**
 * Reads a process's standard error to its end, keeps the first {@link HEAD_BYTES} and drops the
 * rest, so that the process never blocks on it.
 */
export class StderrHead {
  readonly #stream: ByteStream;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    stream.on('error', () => {});
    stream.on('readable', () => this.#read());
  }

  bytes(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  /** Waits for the end of the stream up to the timeout, then closes it. */
  async complete(timeoutMs: number): Promise<void> {
    if (!this.#stream.readableEnded && !this.#stream.destroyed) {
      const signal = AbortSignal.timeout(timeoutMs);
      // The end, an early close and the timeout have the same effect: received data is kept.
      await once(this.#stream, 'close', { signal }).catch(() => {});
    }
    this.#stream.destroy();
  }

  #read(): void {
    for (;;) {
      const chunk = this.#stream.read();
      if (chunk === null) return;
      this.#keep(chunk);
    }
  }

  #keep(chunk: Buffer): void {
    const space = HEAD_BYTES - this.#length;
    if (space <= 0) return;
    // This is a copy, because a view would keep the whole chunk alive.
    const piece = Buffer.from(chunk.subarray(0, space));
    this.#chunks.push(piece);
    this.#length += piece.length;
  }
}
