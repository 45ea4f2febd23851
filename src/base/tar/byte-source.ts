/** Bytes that arrive in pieces, and are taken in other pieces. */
export class ByteSource implements AsyncDisposable {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #current: Buffer = Buffer.alloc(0);
  #isOver = false;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /**
   * Returns the next bytes in one piece; fewer at the end, `undefined` after it. They may be a view
   * of the source's memory.
   */
  async take(length: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const part = await this.takeSome(left);
      if (part === undefined) break;
      parts.push(part);
      left -= part.length;
    }
    const [first] = parts;
    if (first === undefined) return undefined;
    return parts.length === 1 ? first : Buffer.concat(parts);
  }

  /**
   * Returns the bytes that have arrived, at most `length` and at least one; `undefined` at the end.
   */
  async takeSome(length: number): Promise<Buffer | undefined> {
    while (this.#current.length === 0) {
      const next = this.#isOver ? undefined : await this.#pieces.next();
      if (next === undefined || next.done === true) {
        this.#isOver = true;
        return undefined;
      }
      const { buffer, byteOffset, byteLength } = next.value;
      this.#current = Buffer.from(buffer, byteOffset, byteLength);
    }
    const taken = this.#current.subarray(0, length);
    this.#current = this.#current.subarray(taken.length);
    return taken;
  }

  /** Reads the rest and drops it. */
  async drain(): Promise<void> {
    while ((await this.takeSome(Number.POSITIVE_INFINITY)) !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) await this.#pieces.return?.();
  }
}
