import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { stampOf } from '#base/files/file-stamp';
import { BriefMemory } from '#base/memory/brief-memory';
import { FallBackToGit } from '../command/in-process.ts';
import { OID_BYTES } from '../names/object-id.ts';
import { MultiPackIndex } from '../objects/database/multi-pack-index.ts';
import { packNamesIn, packsAmong } from '../objects/database/pack-directory.ts';
import { PackIndex } from '../objects/database/pack-index.ts';
import { PageCache } from '../objects/database/page-cache.ts';
import { REVERSE_HEADER_BYTES, REVERSE_SIGNATURE } from '../objects/database/reverse-index.ts';
import type { ReadableRepository } from '../objects/readable-repository.ts';
import { BitmapFile } from './bitmap-file.ts';
import { PackOrder, type Pause, type PlaceAt } from './pack-order.ts';
import { sortOffsets } from './sort-offsets.ts';

/** An index of the objects that have bitmaps. */
interface ObjectIndex {
  /** Number of objects. */
  readonly count: number;
  /** Checksum of the pack or the multi-pack-index. */
  readonly checksum: Buffer;
  indexOf(name: Buffer): number | undefined;
  nameAt(index: number): Buffer;
  placeOf(name: Buffer): ReturnType<PlaceAt> | undefined;
  places(pause: Pause): Promise<PlaceAt>;
  /** Returns the positions among the sorted ids in the order of the bitmaps, 32 bits each. */
  order(pause: Pause): Promise<Buffer>;
  close(): void;
}

/** The bitmaps of some packs, and the objects that they are of. Neither changes. */
export interface LoadedBitmaps {
  readonly bitmap: BitmapFile;
  readonly order: PackOrder;
}

/** Maximum number of objects whose order is read: each takes 40 bytes of memory. */
const MAX_OBJECTS = 2_000_000;
/** Maximum size of the bitmaps, which are read as a whole: some bytes for each object. */
const MAX_BITMAP_BYTES = 16 << 20;

/** Two million objects with the largest bitmaps. */
const MAX_LOADED_BYTES = 40 << 20;
/** Reading the bitmaps of this number of objects takes as long as the start of git. */
const FEW_OBJECTS = 500_000;

/** Files that were read lately: the next client needs them again. */
const recent = new BriefMemory<LoadedBitmaps>({
  maxBytes: MAX_LOADED_BYTES,
  maxValueBytes: MAX_LOADED_BYTES,
  maxAgeMs: 30_000,
  sizeOf: ({ bitmap, order }) => bitmap.byteLength + order.byteLength,
});

const MULTI_PACK_INDEX = 'multi-pack-index';
const BITMAP = '.bitmap';
const REVERSE_INDEX = '.rev';

/** Bytes of a file that are summed in one step: 1 ms. */
const PIECE_BYTES = 1 << 20;

const NONE = new FallBackToGit('there is no bitmap');
const LARGE = new FallBackToGit('there are many objects');
const DAMAGED = new FallBackToGit('a bitmap is damaged');
const NO_ORDER = new FallBackToGit('there is no reverse index');

/** Packs whose objects need no others, with bitmaps of what their commits reach. */
export class BitmappedPacks implements Disposable {
  /** True for a pack that git made of all objects. A pushed pack may end with bases of its deltas. */
  readonly hasBasesFirst: boolean;
  /** Equal keys mean equal files. */
  readonly key: string;
  readonly #bitmapPath: string;
  readonly #size: number;
  readonly #index: ObjectIndex;
  readonly #pages: PageCache;

  private constructor(bitmapPath: string, index: ObjectIndex, pages: PageCache) {
    this.hasBasesFirst = !basename(bitmapPath).startsWith(MULTI_PACK_INDEX);
    const stats = statSync(bitmapPath, { throwIfNoEntry: false });
    if (stats === undefined) throw NONE;
    this.key = `${bitmapPath} ${index.checksum.toString('hex')} ${stampOf(stats)}`;
    this.#bitmapPath = bitmapPath;
    this.#size = stats.size;
    this.#index = index;
    this.#pages = pages;
  }

  /**
   * Opens the packs of a repository for which git has written bitmaps. Close them.
   *
   * @throws {FallBackToGit} when there are none; the system's error.
   */
  static open(repository: ReadableRepository): BitmappedPacks {
    const directory = `${repository.objectDirectory}/pack`;
    const names = packNamesIn(directory);
    if (names === undefined) throw new FallBackToGit('there are too many packs');
    const oidBytes = OID_BYTES[repository.objectFormat];
    const pages = new PageCache();
    if (names.has(MULTI_PACK_INDEX)) {
      const index = openMultiPackIndex(directory, pages, oidBytes);
      const bitmap = `${MULTI_PACK_INDEX}-${index.checksum.toString('hex')}${BITMAP}`;
      if (names.has(bitmap)) return BitmappedPacks.#of(`${directory}/${bitmap}`, index, pages);
      index.close();
    }
    const stems = packsAmong(names, directory).filter((stem) =>
      names.has(`${stem.slice(directory.length + 1)}${BITMAP}`),
    );
    const [stem] = stems;
    // git uses one of several, and ignores the others.
    if (stem === undefined || stems.length > 1) throw NONE;
    return BitmappedPacks.#of(`${stem}${BITMAP}`, openPackIndex(stem, pages, oidBytes), pages);
  }

  static #of(bitmapPath: string, index: ObjectIndex, pages: PageCache): BitmappedPacks {
    try {
      return new BitmappedPacks(bitmapPath, index, pages);
    } catch (error) {
      index.close();
      throw error;
    }
  }

  get count(): number {
    return this.#index.count;
  }

  /** True if {@link load} is quicker than the start of git. */
  get isQuick(): boolean {
    return this.count <= FEW_OBJECTS || recent.get(this.key) !== undefined;
  }

  /**
   * Reads the bitmaps and their order, unless they were read a short time ago.
   *
   * @throws {FallBackToGit}; the system's error; what `pause` throws.
   */
  async load(pause: Pause): Promise<LoadedBitmaps> {
    if (this.count > MAX_OBJECTS || this.#size > MAX_BITMAP_BYTES) throw LARGE;
    const known = recent.get(this.key);
    if (known !== undefined) return known;
    const loaded = { bitmap: await this.#readBitmap(pause), order: await this.#readOrder(pause) };
    recent.set(this.key, loaded);
    return loaded;
  }

  async #readBitmap(pause: Pause): Promise<BitmapFile> {
    const bytes = await readFile(this.#bitmapPath);
    const end = bytes.length - this.#index.checksum.length;
    const sum = await checksumOf(bytes.subarray(0, Math.max(0, end)), this.#index.checksum.length, pause);
    if (!sum.equals(bytes.subarray(end))) throw DAMAGED;
    return new BitmapFile(bytes, this.#index);
  }

  async #readOrder(pause: Pause): Promise<PackOrder> {
    const order = await this.#index.order(pause);
    return await PackOrder.read(order, await this.#index.places(pause), pause);
  }

  /** Returns the position of an object among the sorted ids, by its binary id. @throws {FallBackToGit} */
  indexOf(name: Buffer): number | undefined {
    return this.#index.indexOf(name);
  }

  /** Returns the bit of an object, by its binary id. @throws {FallBackToGit} */
  bitOf(name: Buffer, order: PackOrder): number | undefined {
    const place = this.#index.placeOf(name);
    const range = order.packs.find(({ stem }) => stem === place?.stem);
    return place && range && order.bitAt(range, place.offset);
  }

  /** Returns the id of the object of a bit, in hexadecimal. @throws {FallBackToGit} */
  oidOf(bit: number, order: PackOrder): string {
    return this.#index.nameAt(order.indexes[bit] ?? 0).toString('hex');
  }

  /** Frees the parts of the index in memory. The file stays open. */
  forgetPages(): void {
    this.#pages.clear();
  }

  [Symbol.dispose](): void {
    this.#index.close();
  }
}

function openPackIndex(stem: string, pages: PageCache, oidBytes: number): ObjectIndex {
  const index = new PackIndex(`${stem}.idx`, pages, oidBytes);
  const { count, packChecksum: checksum } = index;
  return {
    count,
    checksum,
    indexOf: (name) => index.indexOf(name),
    nameAt: (at) => index.nameAt(at),
    placeOf(name) {
      const offset = index.offsetOf(name);
      return offset === undefined ? undefined : { stem, offset };
    },
    async places(pause) {
      const offsets = await index.offsets(pause);
      return (at) => ({ stem, offset: offsets[at] ?? 0 });
    },
    // git before 2.41 writes none by default, and sorts like this.
    order: async (pause) =>
      (await readReverseIndex(`${stem}${REVERSE_INDEX}`, { count, checksum })) ??
      (await sortOffsets(await index.offsets(pause), pause)),
    close: () => index.close(),
  };
}

function openMultiPackIndex(directory: string, pages: PageCache, oidBytes: number): ObjectIndex {
  const index = new MultiPackIndex(`${directory}/${MULTI_PACK_INDEX}`, pages, oidBytes);
  const { count, checksum } = index;
  const paths = new Map(index.stems.map((stem) => [stem, `${directory}/${stem}`]));
  const pathOf = ({ offset, stem }: ReturnType<PlaceAt>) => ({ offset, stem: paths.get(stem) ?? stem });
  const file = `${directory}/${MULTI_PACK_INDEX}-${checksum.toString('hex')}${REVERSE_INDEX}`;
  return {
    count,
    checksum,
    indexOf: (name) => index.indexOf(name),
    nameAt: (at) => index.nameAt(at),
    placeOf(name) {
      const place = index.find(name);
      return place && pathOf(place);
    },
    async places() {
      const placeAt = index.places();
      return (at) => pathOf(placeAt(at));
    },
    order: async () =>
      index.storedOrder() ?? (await readReverseIndex(file, { count, checksum })) ?? noOrder(),
    close: () => index.close(),
  };
}

async function checksumOf(bytes: Buffer, length: number, pause: Pause): Promise<Buffer> {
  const hash = createHash(length === OID_BYTES.sha1 ? 'sha1' : 'sha256');
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    hash.update(bytes.subarray(at, at + PIECE_BYTES));
    await pause();
  }
  return hash.digest();
}

/** Reads the whole of a reverse index. @returns `undefined` if there is none. */
async function readReverseIndex(
  path: string,
  { count, checksum }: Pick<ObjectIndex, 'checksum' | 'count'>,
): Promise<Buffer | undefined> {
  const end = REVERSE_HEADER_BYTES + count * 4;
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (stats.size !== end + 2 * checksum.length) noOrder();
  const bytes = await readFile(path);
  const isOfPacks = bytes.subarray(end, end + checksum.length).equals(checksum);
  if (!isOfPacks || !bytes.subarray(0, REVERSE_SIGNATURE.length).equals(REVERSE_SIGNATURE)) noOrder();
  return bytes.subarray(REVERSE_HEADER_BYTES, end);
}

function noOrder(): never {
  throw NO_ORDER;
}
