import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit } from '#git/command/in-process';
import type { ImmutableFile } from './immutable-file.ts';

/** Bytes of a page: the whole index of a pack of 500 objects. */
const PAGE_BYTES = 16 * 1024;
/** Limit of all pages together. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Pages of a file: with these, the largest one has 512 GiB. */
const MAX_PAGES = 2 ** 25;

/** Pages of pack indexes, shared by all repositories. */
export class PageCache {
  readonly #pages = new BoundedMap<number, Buffer>({
    maxEntries: MAX_BYTES / PAGE_BYTES,
    maxWeight: MAX_BYTES,
    weigh: (page) => page.length,
  });

  /**
   * Returns the bytes of a file from a position, as a view that must not be changed, nor be kept:
   * the memory of a page is used again.
   *
   * @throws {FallBackToGit} when the file ends before.
   */
  bytes(file: ImmutableFile, position: number, length: number): Buffer {
    const page = this.#page(file, Math.floor(position / PAGE_BYTES));
    const start = position % PAGE_BYTES;
    const end = start + length;
    if (end <= page.length) return page.subarray(start, end);
    if (page.length < PAGE_BYTES) throw new FallBackToGit('a pack index ends early');
    const head = page.subarray(start);
    return Buffer.concat([head, this.bytes(file, position + head.length, length - head.length)]);
  }

  /** Compares bytes of a file with others, like `Buffer.compare`. @throws as {@link bytes}. */
  compare(file: ImmutableFile, position: number, other: Buffer): number {
    const page = this.#page(file, Math.floor(position / PAGE_BYTES));
    const start = position % PAGE_BYTES;
    if (start + other.length > page.length) return this.bytes(file, position, other.length).compare(other);
    // Most ids differ in the first bytes: a call of `Buffer.compare` takes longer.
    for (let at = 0; at < other.length; at++) {
      const difference = (page[start + at] ?? 0) - (other[at] ?? 0);
      if (difference !== 0) return Math.sign(difference);
    }
    return 0;
  }

  /** Reads a number of 32 bits. @throws as {@link bytes}. */
  uint32(file: ImmutableFile, position: number): number {
    const page = this.#page(file, Math.floor(position / PAGE_BYTES));
    const start = position % PAGE_BYTES;
    return start + 4 <= page.length ? page.readUInt32BE(start) : this.bytes(file, position, 4).readUInt32BE();
  }

  clear(): void {
    this.#pages.clear();
  }

  #page(file: ImmutableFile, number: number): Buffer {
    const key = file.id * MAX_PAGES + number;
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    const start = number * PAGE_BYTES;
    if (start >= file.size) throw new FallBackToGit('a pack index ends early');
    const page = this.#memory(Math.min(PAGE_BYTES, file.size - start));
    if (file.read(page, start) < page.length) throw new FallBackToGit('a pack index ends early');
    this.#pages.set(key, page);
    return page;
  }

  /** Takes the oldest page's memory at the limit: the heap would only free it later. */
  #memory(length: number): Buffer {
    const isFull = this.#pages.size >= MAX_BYTES / PAGE_BYTES;
    const oldest = isFull ? this.#pages.shift() : undefined;
    return oldest?.length === length ? oldest : Buffer.allocUnsafeSlow(length);
  }
}
