/** Limit of the bytes that all files of one cache hold together. */
export class DiskQuota {
  readonly #maxBytes: number;
  readonly #share: () => number;
  #usedBytes = 0;

  /** @param share returns the part of the limit that this process may use. */
  constructor(maxBytes: number, share: () => number = () => 1) {
    this.#maxBytes = maxBytes;
    this.#share = share;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes bytes. @returns false, and takes nothing, if they do not fit. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes * this.#share()) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
