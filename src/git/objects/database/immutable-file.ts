import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

let lastId = 0;

/** An open pack or index. git never changes these files, it only replaces them. */
export class ImmutableFile {
  /** Different for each opened file; never reused. */
  readonly id = ++lastId;
  /** Bytes. */
  readonly size: number;
  readonly #fd: number;

  /** Opens the file at a path. @throws the system's error. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      this.size = fstatSync(this.#fd).size;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Reads bytes from a position, and returns how many there were before the end of the file.
   *
   * @throws the system's error.
   */
  read(into: Buffer, position: number): number {
    let filled = 0;
    while (filled < into.length) {
      const count = readSync(this.#fd, into, filled, into.length - filled, position + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
