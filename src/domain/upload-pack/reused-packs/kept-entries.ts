import { invariant } from '#base/invariant';
import { hasBit } from '#git/bitmap/bitmap-file';
import { type PackEntry, parsePackEntry } from '#git/objects/database/pack-entry';
import type { ObjectReader } from '#git/objects/object-reader';
import { encodedDistance } from '#git/objects/pack-header';
import { addObjects } from '../add-objects.ts';
import type { PackOutput } from '../pack-output.ts';
import { damagedPack, PackWindow } from '../pack-window.ts';
import type { ReusedPack, SelectedObjects } from './find-reused-packs.ts';

const NOT_SENT = -1;

/**
 * Sends the chosen entries of a pack behind the first one that is not chosen. They keep their
 * compressed bytes. Deltas get the new distance to their base, and a delta whose base is not chosen
 * is replaced by its object.
 */
export class KeptEntries {
  readonly #pack: ReusedPack;
  readonly #selected: SelectedObjects;
  readonly #objects: ObjectReader;
  readonly #output: PackOutput;
  readonly #oidBytes: number;
  readonly #signal: AbortSignal;
  /** Offsets in the output of the entries after the gap. */
  readonly #starts: Float64Array;
  /** Maps positions before the gap to positions in the output. */
  readonly #shift: number;

  /** @param shift From a position in the file to that in the output, before the first gap. */
  constructor(
    pack: ReusedPack,
    {
      objects,
      output,
      selected,
      shift,
      signal,
    }: {
      readonly objects: ObjectReader;
      readonly output: PackOutput;
      readonly selected: SelectedObjects;
      readonly shift: number;
      readonly signal: AbortSignal;
    },
  ) {
    this.#pack = pack;
    this.#selected = selected;
    this.#objects = objects;
    this.#output = output;
    this.#signal = signal;
    this.#shift = shift;
    this.#oidBytes = selected.oidBytes;
    this.#starts = new Float64Array(pack.range.end - pack.gap).fill(NOT_SENT);
  }

  /**
   * @returns the number of entries. @throws {GitalyError} INTERNAL for a damaged pack; the system's
   *   error; errors of the output.
   */
  async send(): Promise<number> {
    const { end: packEnd, file, gap, range } = this.#pack;
    using window = new PackWindow({ fd: file.fd, end: packEnd }, this.#output);
    const { bits } = this.#selected;
    let sent = 0;
    for (let bit = gap; bit < range.end; bit++) {
      if (!hasBit(bits, bit)) continue;
      const start = this.#startOf(bit);
      const end = bit + 1 < range.end ? this.#startOf(bit + 1) : packEnd;
      const bytes = window.loaded(start, end) ?? (await window.load(start, end));
      this.#starts[bit - gap] = this.#output.position;
      const entry = parsePackEntry(bytes, this.#oidBytes);
      invariant(start + entry.headerBytes < end, 'pack-entries', 'an entry of a pack ends in its header');
      sent++;
      const distance = this.#distanceOf(bit, entry);
      if (distance === undefined) {
        await this.#sendObject(bit);
        continue;
      }
      const body = start + this.#addHeader(entry, bytes, distance);
      if (!window.copyLoaded(body, end)) await window.copy(body, end);
    }
    return sent;
  }

  /** Adds the part of a header that changes. @returns the number of bytes that it replaces. */
  #addHeader(entry: PackEntry, bytes: Buffer, distance: number): number {
    if (entry.kind !== 'offset-delta' || distance === entry.distance) return 0;
    let sizeBytes = 1;
    while ((bytes[sizeBytes - 1] ?? 0) >= 0x80) sizeBytes++;
    this.#output.add(bytes, 0, sizeBytes);
    this.#output.add(encodedDistance(distance));
    return entry.headerBytes;
  }

  /**
   * Returns the distance in the output from an entry to its base; 0 for an entry that needs none;
   * `undefined` if its base is not sent.
   */
  #distanceOf(bit: number, entry: PackEntry): number | undefined {
    if (entry.kind === 'object') return 0;
    const { bits, packs, order } = this.#selected;
    if (entry.kind === 'name-delta') {
      const base = packs.bitOf(entry.base, order);
      return base !== undefined && hasBit(bits, base) ? 0 : undefined;
    }
    const { gap, range } = this.#pack;
    const base = order.bitAt(range, this.#startOf(bit) - entry.distance, bit);
    if (base === undefined) throw damagedPack();
    const sentAt = base < gap ? this.#startOf(base) + this.#shift : (this.#starts[base - gap] ?? NOT_SENT);
    return sentAt === NOT_SENT ? undefined : this.#output.position - sentAt;
  }

  /** Sends an object without a delta. */
  async #sendObject(bit: number): Promise<void> {
    const { order, packs } = this.#selected;
    const [objects, output, signal] = [this.#objects, this.#output, this.#signal];
    await addObjects([packs.oidOf(bit, order)], { objects, output, signal });
  }

  #startOf(bit: number): number {
    return this.#selected.order.offsets[bit] ?? 0;
  }
}
