import { FallBackToGit } from '#git/in-process';
import { ImmutableFile } from './immutable-file.ts';
import type { PageCache } from './page-cache.ts';
import { SortedNames } from './sorted-names.ts';

/** A place in one of the packs. */
export interface PackedPlace {
  /** Name of the pack's file, without `.pack`. */
  readonly stem: string;
  readonly offset: number;
}

const HEADER_BYTES = 12;
/** `MIDX`, version 1. */
const MAGIC_AND_VERSION = Buffer.from('MIDX\u0001', 'latin1');
/** A chunk's name, and its position in 64 bits. */
const CHUNK_BYTES = 12;
/** A number of a pack, and an offset. */
const PLACE_BYTES = 8;
/** Set in offsets that are a position in the table of larger ones. */
const LARGE = 2 ** 31;
/** Limit of the names of all packs. */
const MAX_NAMES_BYTES = 1024 * 1024;

interface Chunk {
  readonly start: number;
  readonly end: number;
}

/** The index of several packs: `objects/pack/multi-pack-index`. */
export class MultiPackIndex {
  /** Names of the packs' files, without `.pack`. */
  readonly stems: readonly string[];
  readonly #file: ImmutableFile;
  readonly #pages: PageCache;
  readonly #names: SortedNames;
  readonly #places: Chunk;
  readonly #largeOffsets: Chunk | undefined;

  /**
   * Opens the index at a path.
   *
   * @throws {FallBackToGit} for anything that git does not write; the system's error.
   */
  constructor(path: string, pages: PageCache, oidBytes: number) {
    this.#file = new ImmutableFile(path);
    this.#pages = pages;
    try {
      const chunks = this.#readChunks(oidBytes);
      const chunk = (name: string): Chunk => chunks.get(name) ?? broken();
      const fanOut = chunk('OIDF');
      const names = chunk('OIDL');
      this.#names = new SortedNames(this.#file, pages, fanOut.start, names.start);
      this.#places = chunk('OOFF');
      this.#largeOffsets = chunks.get('LOFF');
      this.stems = this.#readStems(chunk('PNAM'));
      const { count } = this.#names;
      if (names.end - names.start < count * oidBytes) broken();
      if (this.#places.end - this.#places.start < count * PLACE_BYTES) broken();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Returns the place of an object, by its binary id. @throws {FallBackToGit} */
  find(name: Buffer): PackedPlace | undefined {
    const index = this.#names.indexOf(name);
    if (index === undefined) return undefined;
    const place = this.#pages.bytes(this.#file, this.#places.start + index * PLACE_BYTES, PLACE_BYTES);
    const stem = this.stems[place.readUInt32BE()] ?? broken();
    const offset = place.readUInt32BE(4);
    if (offset < LARGE || this.#largeOffsets === undefined) return { stem, offset };
    const at = this.#largeOffsets.start + (offset - LARGE) * 8;
    return { stem, offset: Number(this.#pages.bytes(this.#file, at, 8).readBigUInt64BE()) };
  }

  close(): void {
    this.#file.close();
  }

  #readChunks(oidBytes: number): Map<string, Chunk> {
    const header = this.#pages.bytes(this.#file, 0, HEADER_BYTES);
    const isKnown =
      header.subarray(0, MAGIC_AND_VERSION.length).equals(MAGIC_AND_VERSION) &&
      header[5] === (oidBytes === 20 ? 1 : 2) &&
      header[7] === 0;
    if (!isKnown) broken();
    const count = header[6] ?? 0;
    const table = this.#pages.bytes(this.#file, HEADER_BYTES, (count + 1) * CHUNK_BYTES);
    const startOf = (index: number): number => Number(table.readBigUInt64BE(index * CHUNK_BYTES + 4));
    const chunks = new Map<string, Chunk>();
    for (let index = 0; index < count; index++) {
      const chunk = { start: startOf(index), end: startOf(index + 1) };
      if (chunk.end < chunk.start || chunk.end > this.#file.size) broken();
      chunks.set(table.toString('latin1', index * CHUNK_BYTES, index * CHUNK_BYTES + 4), chunk);
    }
    return chunks;
  }

  #readStems({ start, end }: Chunk): string[] {
    if (end - start > MAX_NAMES_BYTES) broken();
    const names = this.#pages
      .bytes(this.#file, start, end - start)
      .toString('latin1')
      .split('\0');
    return names.filter((name) => name !== '').map((name) => name.replace(/\.(?:idx|pack)$/, ''));
  }
}

function broken(): never {
  throw new FallBackToGit('a multi-pack-index is broken');
}
