import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/command/in-process';
import type { ObjectType } from '#git/names/object-info';
import { applyDelta, resultSizeOf } from './apply-delta.ts';
import type { DeltaBases, PackedObject } from './delta-bases.ts';
import { ImmutableFile } from './immutable-file.ts';
import { inflateExactly, inflateHead } from './inflate.ts';
import { READ_LIMITS } from './limits.ts';
import { MAX_ENTRY_HEADER_BYTES, type PackEntry, parsePackEntry } from './pack-entry.ts';
import { PackIndex } from './pack-index.ts';
import type { PageCache } from './page-cache.ts';
import { ReverseIndex } from './reverse-index.ts';

/** Caches that all packs share. */
export interface PackCaches {
  readonly pages: PageCache;
  readonly bases: DeltaBases;
}

const HEADER_BYTES = 12;
const VERSIONS = [2, 3];
/** First read of an entry: most commits are whole then. */
const FIRST_READ_BYTES = 4096;
/** Bytes that zlib adds at most to data that it cannot compress, besides some per block. */
const ZLIB_BYTES = 32;
/** Compressed bytes from which the sizes at the beginning of nearly all deltas can be inflated. */
const DELTA_HEAD_BYTES = 128;
/** The same for all deltas: zlib's codes of a block take up to 562 bytes. */
const MAX_DELTA_HEAD_BYTES = 640;
/** Bytes that are mostly inflated from either of them. */
const INFLATED_HEAD_BYTES = 1024;
/** Bytes of two sizes below 4 GiB. */
const DELTA_SIZES_BYTES = 10;

/**
 * Bytes of the entry that is being read. One for all packs, because nothing waits between reading
 * and inflating.
 */
const scratch = Buffer.allocUnsafeSlow(
  READ_LIMITS.objectBytes + READ_LIMITS.objectBytes / 8 + FIRST_READ_BYTES,
);

/** Readings of an index for one search. */
const SEARCH_STEPS = 20;
/** A search takes some microseconds. */
const ITEMS_PER_LOOK = 64;

interface EntryAt {
  readonly entry: PackEntry;
  readonly offset: number;
  /** The first bytes of the entry, in the shared buffer: valid until the next read. */
  readonly head: Buffer;
}

/** A pack with its index. Both files are open until {@link close}. */
export class Pack {
  readonly #stem: string;
  readonly #pages: PageCache;
  readonly #index: PackIndex;
  readonly #file: ImmutableFile;
  readonly #bases: DeltaBases;
  readonly #oidBytes: number;
  #reverse: ReverseIndex | undefined;

  /**
   * Opens the files of a pack.
   *
   * @param stem Path without `.pack` and `.idx`.
   * @throws {FallBackToGit} for an index that cannot be read in process; the system's error.
   */
  constructor(stem: string, { pages, bases }: PackCaches, oidBytes: number) {
    this.#stem = stem;
    this.#pages = pages;
    this.#bases = bases;
    this.#oidBytes = oidBytes;
    this.#index = new PackIndex(`${stem}.idx`, pages, oidBytes);
    try {
      this.#file = new ImmutableFile(`${stem}.pack`);
    } catch (error) {
      this.#index.close();
      throw error;
    }
    if (this.#isOf(this.#index)) return;
    this.close();
    throw new FallBackToGit('a pack is not that of its index');
  }

  /** Reports whether the file is a pack, and the one for which the index was made, as git does. */
  #isOf({ count, packChecksum }: PackIndex): boolean {
    const header = Buffer.alloc(HEADER_BYTES);
    const trailer = Buffer.alloc(packChecksum.length);
    return (
      this.#file.size >= header.length + trailer.length &&
      this.#file.read(header, 0) === header.length &&
      header.toString('latin1', 0, 4) === 'PACK' &&
      VERSIONS.includes(header.readUInt32BE(4)) &&
      header.readUInt32BE(8) === count &&
      this.#file.read(trailer, this.#file.size - trailer.length) === trailer.length &&
      trailer.equals(packChecksum)
    );
  }

  /** Returns the position of an object, by its binary id. @throws {FallBackToGit} */
  offsetOf(name: Buffer): number | undefined {
    return this.#index.offsetOf(name);
  }

  /**
   * Returns where entries end.
   *
   * @param offsets Their beginnings, in order.
   * @param pause Waits when the computation has taken long. The pack may be closed meanwhile.
   * @throws {FallBackToGit} if one does not begin there, or there is no reverse index; what `pause`
   *   throws.
   */
  async endsOf(offsets: Float64Array, pause: () => Promise<void>): Promise<Float64Array> {
    const last = this.#file.size - this.#oidBytes;
    const isFew = offsets.length * SEARCH_STEPS < this.#index.count;
    const all = isFew ? undefined : await this.#order.offsets(pause);
    const ends = new Float64Array(offsets.length);
    let at = 0;
    for (const [index, offset] of offsets.entries()) {
      if (index % ITEMS_PER_LOOK === 0) await pause();
      if (all === undefined) ends[index] = this.#order.offsetAfter(offset) ?? last;
      else {
        while ((all[at] ?? offset) < offset) at++;
        if (all[at] !== offset) throw new FallBackToGit('an object is not in its pack');
        ends[index] = all[at + 1] ?? last;
      }
      if ((ends[index] ?? 0) <= offset) throw new FallBackToGit('a reverse index is damaged');
    }
    return ends;
  }

  /** Returns the header of the entry at an offset. @throws {FallBackToGit} if there is none. */
  headerAt(offset: number): PackEntry {
    return parsePackEntry(this.#read(offset, MAX_ENTRY_HEADER_BYTES), this.#oidBytes);
  }

  /** Returns the binary id of the object at an offset. @throws {FallBackToGit} as {@link endsOf}. */
  nameAt(offset: number): Buffer {
    return this.#index.nameAt(this.#order.indexOf(offset));
  }

  get #order(): ReverseIndex {
    try {
      this.#reverse ??= new ReverseIndex(`${this.#stem}.rev`, this.#index, this.#pages);
      return this.#reverse;
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      throw new FallBackToGit('there is no reverse index');
    }
  }

  /** Returns type and size of the object at a position. @throws {FallBackToGit} */
  infoAt(offset: number): { readonly type: ObjectType; readonly size: number } {
    const first = this.#entryAt(offset);
    const { entry } = first;
    if (entry.kind === 'object') return { type: entry.type, size: entry.size };
    const size = this.#resultSizeAt(offset + entry.headerBytes);
    let current: EntryAt = first;
    for (let step = 0; step <= READ_LIMITS.deltas; step++) {
      if (current.entry.kind === 'object') return { type: current.entry.type, size };
      current = this.#entryAt(this.#baseOf(current));
    }
    throw new FallBackToGit('an object has too many deltas');
  }

  /**
   * Reads the object at a position. Its contents are shared and must not be changed.
   *
   * @throws {FallBackToGit} also beyond {@link READ_LIMITS}.
   */
  objectAt(offset: number): PackedObject {
    const deltas: { readonly delta: Buffer; readonly offset: number }[] = [];
    let work = 0;
    let at = offset;
    let object = this.#bases.get(this.#file, at);
    let isKnown = false;
    while (object === undefined) {
      const current = this.#entryAt(at);
      const data = this.#inflate(current);
      work += data.length;
      if (current.entry.kind === 'object') object = { type: current.entry.type, data };
      else {
        deltas.push({ delta: data, offset: at });
        if (deltas.length > READ_LIMITS.deltas) throw new FallBackToGit('an object has too many deltas');
        at = this.#baseOf(current);
        object = this.#bases.get(this.#file, at);
        isKnown = object !== undefined;
      }
    }
    for (const { delta, offset: madeAt } of deltas.reverse()) {
      if (!isKnown) this.#bases.add(this.#file, at, object);
      isKnown = false;
      object = { type: object.type, data: applyDelta(object.data, delta, READ_LIMITS.objectBytes) };
      work += object.data.length;
      if (work > READ_LIMITS.workBytes) throw new FallBackToGit('an object takes too much work');
      at = madeAt;
    }
    return object;
  }

  close(): void {
    this.#reverse?.close();
    this.#index.close();
    this.#file.close();
  }

  /** Returns the size of what the delta makes whose compressed bytes begin at an offset. */
  #resultSizeAt(offset: number): number {
    let head = inflateHead(this.#read(offset, DELTA_HEAD_BYTES), INFLATED_HEAD_BYTES);
    if (head.length < DELTA_SIZES_BYTES)
      head = inflateHead(this.#read(offset, MAX_DELTA_HEAD_BYTES), INFLATED_HEAD_BYTES);
    return resultSizeOf(head);
  }

  #entryAt(offset: number): EntryAt {
    const head = this.#read(offset, FIRST_READ_BYTES);
    return { entry: parsePackEntry(head, this.#oidBytes), offset, head };
  }

  #baseOf({ entry, offset }: EntryAt): number {
    if (entry.kind === 'offset-delta' && entry.distance < offset) return offset - entry.distance;
    const base = entry.kind === 'name-delta' ? this.offsetOf(entry.base) : undefined;
    if (base === undefined) throw new FallBackToGit('the base of a delta is not in its pack');
    return base;
  }

  /** Inflates the data of the entry that was read last. */
  #inflate({ entry: { size, headerBytes }, offset, head }: EntryAt): Buffer {
    if (size > READ_LIMITS.objectBytes) throw new FallBackToGit('an object is too large');
    const length = headerBytes + size + (size >>> 3) + ZLIB_BYTES;
    const bytes = length <= head.length ? head : this.#read(offset, length);
    return inflateExactly(bytes.subarray(headerBytes), size);
  }

  /** Reads into the shared buffer, up to the end of the objects. */
  #read(offset: number, length: number): Buffer {
    const end = Math.min(offset + length, this.#file.size - this.#oidBytes);
    if (offset < 0 || end <= offset) throw new FallBackToGit('an object is not in its pack');
    const bytes = scratch.subarray(0, end - offset);
    if (this.#file.read(bytes, offset) < bytes.length) throw new FallBackToGit('a pack ends early');
    return bytes;
  }
}
