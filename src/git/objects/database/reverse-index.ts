import { FallBackToGit } from '#git/command/in-process';
import { ImmutableFile } from './immutable-file.ts';
import type { PackIndex } from './pack-index.ts';
import type { PageCache } from './page-cache.ts';

/** Signature, version, number of the hash. */
export const REVERSE_HEADER_BYTES = 12;
export const REVERSE_SIGNATURE = Buffer.from('RIDX\0\0\0\x01', 'latin1');

const ITEMS_PER_LOOK = 65_536;

/**
 * The order of the objects in a pack: `pack-*.rev`.
 *
 * @see git: Documentation/gitformat-pack.adoc, pack-*.rev files.
 */
export class ReverseIndex {
  readonly #file: ImmutableFile;
  readonly #index: PackIndex;
  readonly #pages: PageCache;

  /**
   * Opens the file at a path. @throws {FallBackToGit} if it is not that of the index; the system's
   * error.
   */
  constructor(path: string, index: PackIndex, pages: PageCache) {
    this.#file = new ImmutableFile(path);
    this.#index = index;
    this.#pages = pages;
    try {
      const { count, packChecksum: checksum } = index;
      const end = REVERSE_HEADER_BYTES + count * 4;
      const isOfPack =
        this.#file.size === end + 2 * checksum.length &&
        pages.compare(this.#file, 0, REVERSE_SIGNATURE) === 0 &&
        pages.compare(this.#file, end, checksum) === 0;
      if (!isOfPack) throw damaged();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Returns where the object after the one at an offset begins; `undefined` for the last one.
   *
   * @throws {FallBackToGit} if none begins at the offset.
   */
  offsetAfter(offset: number): number | undefined {
    const next = this.#positionOf(offset) + 1;
    return next < this.#index.count ? this.#offsetAt(next) : undefined;
  }

  /** Returns the place among the sorted ids of the object at an offset. @throws as {@link offsetAfter}. */
  indexOf(offset: number): number {
    return this.#indexAt(this.#positionOf(offset));
  }

  /**
   * Returns all offsets in order.
   *
   * @param pause Waits when the computation has taken long. The files may be closed meanwhile.
   * @throws {FallBackToGit}; what `pause` throws.
   */
  async offsets(pause: () => Promise<void>): Promise<Float64Array> {
    const { count } = this.#index;
    const order = Buffer.allocUnsafe(count * 4);
    if (this.#file.read(order, REVERSE_HEADER_BYTES) < order.length) throw damaged();
    const offsets = await this.#index.offsets(pause);
    const sorted = new Float64Array(count);
    for (let at = 0; at < count; at++) {
      if (at % ITEMS_PER_LOOK === 0) await pause();
      sorted[at] = offsets[order.readUInt32BE(at * 4)] ?? 0;
    }
    return sorted;
  }

  #positionOf(offset: number): number {
    let [low, high] = [0, this.#index.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#offsetAt(middle);
      if (found === offset) return middle;
      if (found < offset) low = middle + 1;
      else high = middle;
    }
    throw new FallBackToGit('an object is not in its pack');
  }

  #offsetAt(position: number): number {
    return this.#index.offsetAt(this.#indexAt(position));
  }

  #indexAt(position: number): number {
    const index = this.#pages.uint32(this.#file, REVERSE_HEADER_BYTES + position * 4);
    if (index >= this.#index.count) throw damaged();
    return index;
  }

  close(): void {
    this.#file.close();
  }
}

function damaged(): FallBackToGit {
  return new FallBackToGit('a reverse index is damaged');
}
