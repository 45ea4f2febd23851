import { FallBackToGit } from '#git/command/in-process';
import type { ImmutableFile } from './immutable-file.ts';
import type { PageCache } from './page-cache.ts';

const FAN_OUT = 256;
const FAN_OUT_BYTES = FAN_OUT * 4;
/** Ids to the first one that is compared after a guess: near enough to be in the same page. */
const FIRST_STEP = 64;

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
   * @throws {FallBackToGit} when the file ends before, or a number is below the one before it: git
   *   then uses nothing of the file.
   */
  constructor(file: ImmutableFile, pages: PageCache, fanOutAt: number, namesAt = fanOutAt + FAN_OUT_BYTES) {
    this.#file = file;
    this.#pages = pages;
    this.#fanOutAt = fanOutAt;
    this.#namesAt = namesAt;
    let count = 0;
    for (let byte = 0; byte < FAN_OUT; byte++) {
      const next = this.#upTo(byte);
      if (next < count) throw new FallBackToGit('a pack index is not sorted');
      count = next;
    }
    this.count = count;
  }

  /** Returns the position of a binary id among the sorted ones. @throws {FallBackToGit} */
  indexOf(name: Buffer): number | undefined {
    const first = name[0] ?? 0;
    let low = first === 0 ? 0 : this.#upTo(first - 1);
    let high = this.#upTo(first);
    // Hashes are spread evenly: an id is near to where its next bytes point. This reads one page
    // or two of a large table, where halving would read a page for most steps.
    let at = low + Math.floor((high - low) * (name.readUInt32BE(1) / 2 ** 32));
    for (let step = FIRST_STEP; low < high; step *= 2) {
      const order = this.#pages.compare(this.#file, this.#namesAt + at * name.length, name);
      if (order === 0) return at;
      if (order < 0) low = at + 1;
      else high = at;
      const middle = (low + high) >>> 1;
      at = order < 0 ? Math.min(low + step, middle) : Math.max(high - step, middle);
    }
    return undefined;
  }

  /** Returns the binary id at a position. @throws {FallBackToGit} */
  nameAt(index: number, oidBytes: number): Buffer {
    return Buffer.from(this.#pages.bytes(this.#file, this.#namesAt + index * oidBytes, oidBytes));
  }

  #upTo(byte: number): number {
    return this.#pages.uint32(this.#file, this.#fanOutAt + byte * 4);
  }
}
