import { FallBackToGit } from '#git/command/in-process';
import { ImmutableFile } from './immutable-file.ts';
import type { PageCache } from './page-cache.ts';
import { SortedNames } from './sorted-names.ts';

const MAGIC_AND_VERSION = Buffer.from('\xfftOc\0\0\0\u0002', 'latin1');
const FAN_OUT_BYTES = 256 * 4;
/** Offsets that are decoded between two readings of the clock. */
const ITEMS_PER_LOOK = 65_536;
/** Set in offsets that are a position in the table of larger ones. */
const LARGE = 2 ** 31;

/** The index of one pack, version 2: ids, checksums, and offsets of 31 or 64 bits. */
export class PackIndex {
  /** Number of objects. */
  readonly count: number;
  /** Checksum of the pack, which is at its end, too. */
  readonly packChecksum: Buffer;
  readonly #file: ImmutableFile;
  readonly #pages: PageCache;
  readonly #names: SortedNames;
  readonly #offsetsAt: number;
  readonly #largeOffsetsAt: number;

  /**
   * Opens the index at a path.
   *
   * @param oidBytes Bytes of an id.
   * @throws {FallBackToGit} for a file of another version or length; the system's error.
   */
  constructor(path: string, pages: PageCache, oidBytes: number) {
    this.#file = new ImmutableFile(path);
    this.#pages = pages;
    try {
      const head = pages.bytes(this.#file, 0, MAGIC_AND_VERSION.length);
      if (!head.equals(MAGIC_AND_VERSION)) throw new FallBackToGit('a pack index is not of version 2');
      this.#names = new SortedNames(this.#file, pages, MAGIC_AND_VERSION.length);
      const { count } = this.#names;
      this.count = count;
      this.#offsetsAt = MAGIC_AND_VERSION.length + FAN_OUT_BYTES + count * (oidBytes + 4);
      this.#largeOffsetsAt = this.#offsetsAt + count * 4;
      const rest = this.#file.size - this.#largeOffsetsAt - 2 * oidBytes;
      if (rest < 0 || rest % 8 !== 0 || rest > Math.max(count - 1, 0) * 8)
        throw new FallBackToGit('a pack index has a wrong length');
      this.packChecksum = Buffer.from(pages.bytes(this.#file, this.#file.size - 2 * oidBytes, oidBytes));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Returns the position of an object among the sorted ids, by its binary id. @throws {FallBackToGit} */
  indexOf(name: Buffer): number | undefined {
    return this.#names.indexOf(name);
  }

  /** Returns the position of an object in the pack, by its binary id. @throws {FallBackToGit} */
  offsetOf(name: Buffer): number | undefined {
    const index = this.indexOf(name);
    return index === undefined ? undefined : this.offsetAt(index);
  }

  /** Returns the offset of the object at a position among the sorted ids. @throws {FallBackToGit} */
  offsetAt(index: number): number {
    return this.#offset(this.#pages.uint32(this.#file, this.#offsetsAt + index * 4));
  }

  /** Returns the binary id at a position among the sorted ones. @throws {FallBackToGit} */
  nameAt(index: number): Buffer {
    return this.#names.nameAt(index, this.packChecksum.length);
  }

  /**
   * Returns the positions in the pack, by the order of the ids.
   *
   * @param pause Waits when the computation has taken long.
   * @throws {FallBackToGit}; what `pause` throws.
   */
  async offsets(pause: () => Promise<void>): Promise<Float64Array> {
    const table = Buffer.allocUnsafe(this.#largeOffsetsAt - this.#offsetsAt);
    if (this.#file.read(table, this.#offsetsAt) < table.length)
      throw new FallBackToGit('a pack index ends early');
    const offsets = new Float64Array(this.count);
    for (let index = 0; index < this.count; index++) {
      if (index % ITEMS_PER_LOOK === 0) await pause();
      offsets[index] = this.#offset(table.readUInt32BE(index * 4));
    }
    return offsets;
  }

  close(): void {
    this.#file.close();
  }

  #offset(stored: number): number {
    if (stored < LARGE) return stored;
    const large = this.#pages.bytes(this.#file, this.#largeOffsetsAt + (stored - LARGE) * 8, 8);
    return Number(large.readBigUInt64BE());
  }
}
