import { noteBulkBytes } from './bulk-memory.ts';

/** Lends buffers of one size, and keeps some of the returned ones. */
export class BufferPool {
  readonly #size: number;
  readonly #maxFree: number;
  readonly #free: ArrayBuffer[] = [];

  /** @param maxFree number of buffers that are kept while they are unused. */
  constructor({ size, maxFree }: { readonly size: number; readonly maxFree: number }) {
    this.#size = size;
    this.#maxFree = maxFree;
  }

  /** Returns a buffer with any content. */
  readonly take = (): Buffer => {
    const free = this.#free.pop();
    if (free !== undefined) return Buffer.from(free);
    noteBulkBytes(this.#size);
    return Buffer.allocUnsafeSlow(this.#size);
  };

  /** Takes a buffer back, or a part of it. It must not be used any more. */
  readonly give = ({ buffer }: Buffer): void => {
    if (
      this.#free.length < this.#maxFree &&
      buffer.byteLength === this.#size &&
      buffer instanceof ArrayBuffer
    )
      this.#free.push(buffer);
  };
}
