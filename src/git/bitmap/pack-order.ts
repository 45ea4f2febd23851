import { FallBackToGit } from '../command/in-process.ts';

/** The objects of one pack among those of a bitmap. */
export interface PackRange {
  /** Path, without `.pack`. */
  readonly stem: string;
  /** Bits of its first object, and behind its last. */
  readonly first: number;
  readonly end: number;
}

/** Waits when a computation has taken long. It may throw. */
export type Pause = () => Promise<void>;

/** Position of an object in its pack, by its position among the sorted ids. */
export type PlaceAt = (index: number) => { readonly stem: string; readonly offset: number };

const ITEMS_PER_LOOK = 8192;

/** The objects of a bitmap in the order of the packs, one pack after the other. */
export class PackOrder {
  readonly packs: readonly PackRange[];
  /** Positions in their packs. */
  readonly offsets: Float64Array;
  /** Positions among the sorted ids. */
  readonly indexes: Uint32Array;

  private constructor(packs: readonly PackRange[], offsets: Float64Array, indexes: Uint32Array) {
    this.packs = packs;
    this.offsets = offsets;
    this.indexes = indexes;
  }

  /**
   * @param stored Positions among the sorted ids, 32 bits each.
   * @throws {FallBackToGit} when that is not the order of the packs; what `pause` throws.
   */
  static async read(stored: Buffer, placeAt: PlaceAt, pause: Pause): Promise<PackOrder> {
    const count = stored.length / 4;
    const [offsets, indexes] = [new Float64Array(count), new Uint32Array(count)];
    const packs: PackRange[] = [];
    let [current, first, last] = ['', 0, -1];
    for (let bit = 0; bit < count; bit++) {
      if (bit % ITEMS_PER_LOOK === 0) await pause();
      const index = stored.readUInt32BE(bit * 4);
      if (index >= count) throw unsorted();
      const { stem, offset } = placeAt(index);
      if (stem !== current) {
        if (bit > 0) packs.push({ stem: current, first, end: bit });
        [current, first, last] = [stem, bit, -1];
      }
      if (offset <= last) throw unsorted();
      last = offset;
      offsets[bit] = offset;
      indexes[bit] = index;
    }
    packs.push({ stem: current, first, end: count });
    if (new Set(packs.map(({ stem }) => stem)).size < packs.length) throw unsorted();
    return new PackOrder(packs, offsets, indexes);
  }

  /** Size in memory. */
  get byteLength(): number {
    return this.offsets.byteLength + this.indexes.byteLength;
  }

  /**
   * Returns the bit of the object at an offset; `undefined` if no object starts there.
   *
   * @param before Only objects before this bit. The nearest ones are found first.
   */
  bitAt({ first, end }: PackRange, offset: number, before = end): number | undefined {
    let high = Math.min(end, before);
    let step = 1;
    for (; high - step > first && (this.offsets[high - step] ?? 0) > offset; step *= 2) high -= step;
    let low = Math.max(first, high - step);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.offsets[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low < end && low < before && this.offsets[low] === offset ? low : undefined;
  }
}

function unsorted(): FallBackToGit {
  return new FallBackToGit('a reverse index is damaged');
}
