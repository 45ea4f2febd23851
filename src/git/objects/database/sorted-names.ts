import { FallBackToGit } from '#git/in-process';
import type { ImmutableFile } from './immutable-file.ts';
import type { PageCache } from './page-cache.ts';

const FAN_OUT = 256;
const FAN_OUT_BYTES = FAN_OUT * 4;

/** A table of object ids in a file: pack indexes and multi-pack-indexes have the same one. */
export class SortedNames {
  readonly count: number;
  readonly #file: ImmutableFile;
  readonly #pages: PageCache;
  readonly #fanOutAt: number;
  readonly #namesAt: number;

  /**
   * @param fanOutAt Position of 256 numbers: how many ids begin with this byte or a smaller one.
   * @param namesAt Position of the ids; default: behind these numbers.
   * @throws {FallBackToGit} when the file ends before.
   */
  constructor(file: ImmutableFile, pages: PageCache, fanOutAt: number, namesAt = fanOutAt + FAN_OUT_BYTES) {
    this.#file = file;
    this.#pages = pages;
    this.#fanOutAt = fanOutAt;
    this.#namesAt = namesAt;
    this.count = this.#upTo(FAN_OUT - 1);
  }

  /** Returns the position of a binary id among the sorted ones. @throws {FallBackToGit} */
  indexOf(name: Buffer): number | undefined {
    const first = name[0] ?? 0;
    let low = first === 0 ? 0 : this.#upTo(first - 1);
    let high = this.#upTo(first);
    if (low > high || high > this.count) throw new FallBackToGit('a pack index is not sorted');
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#pages.compare(this.#file, this.#namesAt + middle * name.length, name);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  #upTo(byte: number): number {
    return this.#pages.uint32(this.#file, this.#fanOutAt + byte * 4);
  }
}
