import { FallBackToGit } from '#git/in-process';
import { ImmutableFile } from './immutable-file.ts';
import type { PageCache } from './page-cache.ts';
import { SortedNames } from './sorted-names.ts';

const MAGIC_AND_VERSION = Buffer.from('\xfftOc\0\0\0\u0002', 'latin1');
const FAN_OUT_BYTES = 256 * 4;
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

  /** Returns the position of an object in the pack, by its binary id. @throws {FallBackToGit} */
  offsetOf(name: Buffer): number | undefined {
    const index = this.#names.indexOf(name);
    if (index === undefined) return undefined;
    const offset = this.#pages.uint32(this.#file, this.#offsetsAt + index * 4);
    if (offset < LARGE) return offset;
    const large = this.#pages.bytes(this.#file, this.#largeOffsetsAt + (offset - LARGE) * 8, 8);
    return Number(large.readBigUInt64BE());
  }

  close(): void {
    this.#file.close();
  }
}
