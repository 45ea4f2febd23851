import { pipeline } from 'node:stream/promises';
import { createDeflate } from 'node:zlib';
import { GitalyError } from '#base/gitaly-error';
import { invariant } from '#base/invariant';
import { PIECE_BYTES } from '#base/memory/bulk-buffers';
import { hasBit } from '#git/bitmap/bitmap-file';
import type { ObjectType } from '#git/names/object-info';
import { type PackEntry, parsePackEntry } from '#git/objects/database/pack-entry';
import type { ObjectReader } from '#git/objects/object-reader';
import type { ReusedPack, SelectedObjects } from './find-reused-packs.ts';
import type { PackOutput } from './pack-output.ts';

/** Bytes of the longest header of an entry: a size and an id, or a size and a distance. */
const MAX_HEADER_BYTES = 9 + 32;
const NOT_SENT = -1;
const CODES: Readonly<Record<ObjectType, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };

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
  /** A part of the file, and its position there. */
  readonly #window = Buffer.allocUnsafe(PIECE_BYTES);
  #bytes = this.#window.subarray(0, 0);
  #at = 0;

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
    const { gap, range } = this.#pack;
    const { bits } = this.#selected;
    let sent = 0;
    for (let bit = gap; bit < range.end; bit++) {
      if (!hasBit(bits, bit)) continue;
      const start = this.#startOf(bit);
      const end = bit + 1 < range.end ? this.#startOf(bit + 1) : this.#pack.end;
      if (!this.#holds(start, Math.min(end - start, MAX_HEADER_BYTES))) await this.#load(start);
      this.#starts[bit - gap] = this.#output.position;
      const entry = parsePackEntry(this.#bytes.subarray(start - this.#at), this.#oidBytes);
      invariant(start + entry.headerBytes < end, 'pack-entries', 'an entry of a pack ends in its header');
      sent++;
      const header = this.#headerOf(bit, entry);
      if (header === undefined) {
        await this.#sendObject(bit);
        continue;
      }
      this.#output.add(header);
      const body = start + entry.headerBytes;
      if (this.#holds(body, end - body))
        this.#output.add(this.#bytes.subarray(body - this.#at, end - this.#at));
      else await this.#sendLong(body, end);
    }
    return sent;
  }

  /** Returns the header of an entry in the output; `undefined` if its base is not sent. */
  #headerOf(bit: number, entry: PackEntry): Buffer | undefined {
    const start = this.#startOf(bit);
    const header = this.#bytes.subarray(start - this.#at, start - this.#at + entry.headerBytes);
    if (entry.kind === 'object') return header;
    const { bits, packs, order } = this.#selected;
    if (entry.kind === 'name-delta') {
      const base = packs.bitOf(entry.base, order);
      return base !== undefined && hasBit(bits, base) ? header : undefined;
    }
    const { gap, range } = this.#pack;
    const base = order.bitAt(range, start - entry.distance);
    if (base === undefined || base >= bit) throw damaged();
    const sentAt = base < gap ? this.#startOf(base) + this.#shift : (this.#starts[base - gap] ?? NOT_SENT);
    if (sentAt === NOT_SENT) return undefined;
    const distance = this.#output.position - sentAt;
    if (distance === entry.distance) return header;
    const sizeBytes = header.findIndex((byte) => byte < 0x80) + 1;
    return Buffer.concat([header.subarray(0, sizeBytes), encodedDistance(distance)]);
  }

  /** Sends an entry that is longer than what is loaded. */
  async #sendLong(start: number, end: number): Promise<void> {
    for (let at = start; at < end; at = this.#at + this.#bytes.length) {
      if (!this.#holds(at, 1)) await this.#load(at);
      this.#output.add(this.#bytes.subarray(at - this.#at, end - this.#at));
    }
  }

  /** Sends an object without a delta. */
  async #sendObject(bit: number): Promise<void> {
    const { order, packs } = this.#selected;
    const oid = packs.oidOf(bit, order);
    const object = await this.#objects.openObject(oid, { signal: this.#signal });
    if (object === undefined) throw damaged();
    this.#output.add(objectHeader(object.type, object.size));
    await pipeline(object.stream, createDeflate(), async (deflated: AsyncIterable<Buffer>) => {
      for await (const bytes of deflated) {
        this.#output.add(bytes);
        await this.#output.drain();
      }
    });
  }

  #startOf(bit: number): number {
    return this.#selected.order.offsets[bit] ?? 0;
  }

  #holds(start: number, length: number): boolean {
    return start >= this.#at && start + length <= this.#at + this.#bytes.length;
  }

  async #load(start: number): Promise<void> {
    await this.#output.drain();
    const { end, file } = this.#pack;
    const length = Math.min(this.#window.length, end - start);
    const { bytesRead } = await file.read(this.#window, 0, length, start);
    if (length <= 0 || bytesRead < length) throw damaged();
    this.#at = start;
    this.#bytes = this.#window.subarray(0, length);
  }
}

function damaged(): GitalyError {
  return new GitalyError('INTERNAL', 'a pack is damaged');
}

/** Returns the header of a whole object in a pack. @param size of its contents. */
function objectHeader(type: ObjectType, size: number): Buffer {
  const bytes: number[] = [(CODES[type] << 4) | (size % 16)];
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(rest % 128);
  }
  return Buffer.from(bytes);
}

/** Returns a distance in a pack from a delta to its base, as git encodes it. */
function encodedDistance(distance: number): Buffer {
  const bytes: number[] = [distance % 128];
  for (let rest = Math.floor(distance / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift(0x80 | (--rest % 128));
  return Buffer.from(bytes);
}
