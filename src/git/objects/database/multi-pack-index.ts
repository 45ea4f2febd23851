import { FallBackToGit } from '#git/command/in-process';
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
  /** Number of objects; of one that several packs have, only one counts. */
  readonly count: number;
  readonly checksum: Buffer;
  readonly #file: ImmutableFile;
  readonly #pages: PageCache;
  readonly #names: SortedNames;
  readonly #places: Chunk;
  readonly #largeOffsets: Chunk | undefined;
  /** Of the objects in bitmaps. */
  readonly #order: Chunk | undefined;

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
      this.#order = chunks.get('RIDX');
      this.stems = this.#readStems(chunk('PNAM'));
      this.count = this.#names.count;
      if (names.end - names.start < this.count * oidBytes) broken();
      if (this.#places.end - this.#places.start < this.count * PLACE_BYTES) broken();
      if (this.#order !== undefined && this.#order.end - this.#order.start < this.count * 4) broken();
      this.checksum = Buffer.from(pages.bytes(this.#file, this.#file.size - oidBytes, oidBytes));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Returns the position of an object among the sorted ids, by its binary id. @throws {FallBackToGit} */
  indexOf(name: Buffer): number | undefined {
    return this.#names.indexOf(name);
  }

  /** Returns the place of an object, by its binary id. @throws {FallBackToGit} */
  find(name: Buffer): PackedPlace | undefined {
    const index = this.indexOf(name);
    if (index === undefined) return undefined;
    const at = this.#places.start + index * PLACE_BYTES;
    return this.#place(this.#pages.bytes(this.#file, at, PLACE_BYTES), 0);
  }

  /** Returns the binary id at a position among the sorted ones. @throws {FallBackToGit} */
  nameAt(index: number): Buffer {
    return this.#names.nameAt(index, this.checksum.length);
  }

  /** Returns the places of all objects, by the order of the ids. @throws {FallBackToGit} */
  places(): (index: number) => PackedPlace {
    const table = this.#read(this.#places.start, this.count * PLACE_BYTES);
    return (index) => this.#place(table, index * PLACE_BYTES);
  }

  /** Returns the positions among the sorted ids in the order of the bitmaps, as git stores them. */
  storedOrder(): Buffer | undefined {
    return this.#order && this.#read(this.#order.start, this.count * 4);
  }

  close(): void {
    this.#file.close();
  }

  #place(table: Buffer, at: number): PackedPlace {
    const stem = this.stems[table.readUInt32BE(at)] ?? broken();
    const offset = table.readUInt32BE(at + 4);
    if (offset < LARGE || this.#largeOffsets === undefined) return { stem, offset };
    const large = this.#largeOffsets.start + (offset - LARGE) * 8;
    return { stem, offset: Number(this.#pages.bytes(this.#file, large, 8).readBigUInt64BE()) };
  }

  #read(start: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    return this.#file.read(bytes, start) < length ? broken() : bytes;
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
