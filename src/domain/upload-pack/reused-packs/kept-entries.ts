import { LoopSlice } from '#base/async/loop-turns';
import { invariant } from '#base/invariant';
import { PIECE_BYTES } from '#base/memory/bulk-buffers';
import { BitRanks } from '#git/bitmap/bit-ranks';
import { hasBit, nextBit } from '#git/bitmap/bitmap-file';
import type { PackRange } from '#git/bitmap/pack-order';
import { MAX_ENTRY_HEADER_BYTES, type PackEntry, parsePackEntry } from '#git/objects/database/pack-entry';
import type { ObjectReader } from '#git/objects/object-reader';
import { writeDistance, writeEntryHeader } from '#git/objects/pack-header';
import { addObjects } from '../add-objects.ts';
import type { PackOutput } from '../pack-output.ts';
import { damagedPack, MAX_GAP_BYTES, PackWindow } from '../pack-window.ts';
import { CopiedRun } from './copied-run.ts';
import type { ReusedPack, SelectedObjects } from './find-reused-packs.ts';

export interface KeptEntriesOptions {
  readonly objects: ObjectReader;
  readonly output: PackOutput;
  readonly selected: SelectedObjects;
  /** From a position in the file to that in the output, before the first gap. */
  readonly shift: number;
  readonly signal: AbortSignal;
}

/** Length of a header that stays as it is. */
const UNCHANGED = 0;

/**
 * Sends the chosen entries of a pack behind the first one that is not chosen. They keep their
 * compressed bytes. Deltas get the new distance to their base, or the id of one that the client
 * has; a delta whose base the client does not get is replaced by its object.
 */
export class KeptEntries {
  readonly #pack: ReusedPack;
  readonly #options: KeptEntriesOptions;
  readonly #ranks: BitRanks;
  /** Positions in the output of the chosen entries behind the gap. */
  readonly #positions: Float64Array;
  readonly #header = Buffer.alloc(MAX_ENTRY_HEADER_BYTES);

  constructor(pack: ReusedPack, options: KeptEntriesOptions) {
    this.#pack = pack;
    this.#options = options;
    this.#ranks = new BitRanks(options.selected.bits, pack.gap, pack.range.end);
    this.#positions = new Float64Array(this.#ranks.count);
  }

  /**
   * @returns the number of entries. @throws {GitalyError} INTERNAL for a damaged pack; the system's
   *   error; errors of the output.
   */
  async send(): Promise<number> {
    const { end: packEnd, file, gap, range } = this.#pack;
    const { output, selected, signal } = this.#options;
    const { bits, oidBytes } = selected;
    using window = new PackWindow({ fd: file.fd, end: packEnd }, output);
    const run = new CopiedRun(window, output, this.#startOf(gap));
    const slice = new LoopSlice();
    let sent = 0;
    for (let bit = nextBit(bits, gap, range.end); bit < range.end; bit = nextBit(bits, bit + 1, range.end)) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      const [start, end] = [this.#startOf(bit), this.#startOf(bit + 1)];
      if (start !== run.end || !window.hasHeader(start, end)) {
        if (!run.copyLoaded()) await run.copy();
        if (start !== run.end) run.restart(start);
        if (!window.hasHeader(start, end)) await window.load(start, this.#endOfPiece(bit));
      }
      const entry = parsePackEntry(window.bytes, oidBytes, start - window.start);
      invariant(start + entry.headerBytes < end, 'pack-entries', 'an entry of a pack ends in its header');
      sent++;
      this.#positions[this.#ranks.rankOf(bit)] = run.position;
      const isSame = entry.kind === 'offset-delta' && start - entry.distance >= run.start;
      const headerBytes = isSame ? UNCHANGED : this.#makeHeader(bit, entry, run.position);
      if (headerBytes !== UNCHANGED) {
        if (!run.copyLoaded()) await run.copy();
        if (headerBytes === undefined) await this.#sendObject(bit);
        else output.add(this.#header, 0, headerBytes);
        run.restart(headerBytes === undefined ? end : start + entry.headerBytes);
      }
      run.end = end;
    }
    if (!run.copyLoaded()) await run.copy();
    return sent;
  }

  /**
   * Makes the header that an entry gets.
   *
   * @param position of the entry in the output.
   * @returns its length, or {@link UNCHANGED}; `undefined` if the client does not get the base.
   */
  #makeHeader(bit: number, entry: PackEntry, position: number): number | undefined {
    if (entry.kind === 'object') return UNCHANGED;
    const { bits, ofClient, order, packs } = this.#options.selected;
    const base =
      entry.kind === 'name-delta'
        ? packs.bitOf(entry.base, order)
        : (order.bitAt(this.#pack.range, this.#startOf(bit) - entry.distance, bit) ?? damaged());
    if (base === undefined) return undefined;
    const isSent = hasBit(bits, base);
    if (!isSent && (ofClient === undefined || !hasBit(ofClient, base))) return undefined;
    if (entry.kind === 'name-delta') return UNCHANGED;
    const kind = isSent ? 'offset-delta' : 'name-delta';
    const at = writeEntryHeader(this.#header, kind, entry.size);
    if (!isSent) return at + this.#header.write(packs.oidOf(base, order), at, 'hex');
    const distance = position - this.#positionOf(base);
    return distance === entry.distance ? UNCHANGED : writeDistance(this.#header, at, distance);
  }

  /** Returns the position in the output of an entry that was sent. */
  #positionOf(bit: number): number {
    if (bit < this.#pack.gap) return this.#startOf(bit) + this.#options.shift;
    return this.#positions[this.#ranks.rankOf(bit)] ?? 0;
  }

  /** Sends an object without its delta, perhaps as another one. */
  async #sendObject(bit: number): Promise<void> {
    const { objects, output, selected, signal } = this.#options;
    const oids = [selected.packs.oidOf(bit, selected.order)];
    const earlier = earlierVersion(bit, this.#pack.range, selected);
    const chains = { baseFor: () => earlier, add: () => undefined };
    await addObjects(oids, { chains, objects, output, signal });
  }

  /** Returns the end of the chosen entries that are close behind one another, as far as one piece. */
  #endOfPiece(first: number): number {
    const { bits } = this.#options.selected;
    const { end } = this.#pack.range;
    const last = this.#startOf(first) + PIECE_BYTES;
    let stop = this.#startOf(first + 1);
    for (
      let bit = nextBit(bits, first + 1, end);
      bit < end && stop < last;
      bit = nextBit(bits, bit + 1, end)
    ) {
      if (this.#startOf(bit) - stop > MAX_GAP_BYTES) break;
      stop = this.#startOf(bit + 1);
    }
    return stop;
  }

  /** Returns the position of an entry in the file. */
  #startOf(bit: number): number {
    return bit < this.#pack.range.end ? (this.#options.selected.order.offsets[bit] ?? 0) : this.#pack.end;
  }
}

function damaged(): never {
  throw damagedPack();
}

/** Objects that are looked at: less than half a millisecond. */
const MAX_OBJECTS = 50_000;

/**
 * Returns the next object of a pack that the client has at a path of the same name. As the newest
 * objects are the first, it mostly is an earlier version of the same file.
 *
 * @returns an id; `undefined` if there is none, or no names are known.
 */
function earlierVersion(
  bit: number,
  { end }: PackRange,
  { bitmap, ofClient, order, packs }: SelectedObjects,
): string | undefined {
  const name = bitmap.nameHash(order.indexes[bit] ?? 0);
  if (ofClient === undefined || name === 0) return undefined;
  for (let next = bit + 1; next < Math.min(end, bit + MAX_OBJECTS); next++)
    if (hasBit(ofClient, next) && bitmap.nameHash(order.indexes[next] ?? 0) === name)
      return packs.oidOf(next, order);
  return undefined;
}
