import { LoopSlice } from '#base/async/loop-turns';
import { invariant } from '#base/invariant';
import { FallBackToGit } from '#git/command/in-process';
import type { OidBytes } from '#git/names/object-id';
import type { StoredEntry } from '#git/objects/database/object-directory';
import { type PackEntry, parsePackEntry } from '#git/objects/database/pack-entry';
import type { PackEntries } from '#git/objects/pack-entries';
import { encodedDistance, entryHeader } from '#git/objects/pack-header';
import type { PackOutput } from '../pack-output.ts';
import { PackWindow } from '../pack-window.ts';
import type { DeltaChains } from './delta-chains.ts';
import type { PlacedInPack } from './placed-objects.ts';

export interface CopiedEntriesOptions {
  readonly chains: DeltaChains;
  readonly entries: PackEntries;
  readonly oidBytes: OidBytes;
  readonly output: PackOutput;
  readonly signal: AbortSignal;
}

type DeltaEntry = Exclude<PackEntry, { readonly kind: 'object' }>;

/** The outcome of {@link CopiedEntries.send}. */
export interface CopiedObjects {
  readonly deltas: number;
  /** Deltas whose base the client does not get: they have to be sent as whole objects. */
  readonly others: readonly string[];
}

/**
 * Copies objects from a pack with their compressed bytes. A delta gets the new place of its base,
 * or the base's id if that is sent later or is an object that the client has.
 */
export class CopiedEntries {
  readonly #pack: PlacedInPack;
  readonly #options: CopiedEntriesOptions;
  readonly #window: PackWindow;
  /** Positions in {@link PlacedInPack.oids}, by offset and by id. */
  readonly #byOffset: ReadonlyMap<number, number>;
  readonly #byId: ReadonlyMap<string, number>;
  /** Where the objects begin in the output; negative for those that are not there. */
  readonly #starts: Float64Array;

  constructor(pack: PlacedInPack, options: CopiedEntriesOptions) {
    this.#pack = pack;
    this.#options = options;
    const end = pack.ends.at(-1) ?? 0;
    this.#window = new PackWindow({ file: pack.file, end }, options.output);
    this.#byOffset = new Map([...pack.offsets.entries()].map(([at, offset]) => [offset, at]));
    this.#byId = new Map([...pack.oids.entries()].map(([at, oid]) => [oid, at]));
    this.#starts = new Float64Array(pack.offsets.length).fill(-1);
  }

  /**
   * @throws {GitalyError} INTERNAL for a damaged pack; the system's error; errors of the output;
   *   the signal's reason.
   */
  async send(): Promise<CopiedObjects> {
    const { oidBytes, output, signal } = this.#options;
    const { ends, offsets, oids } = this.#pack;
    const slice = new LoopSlice();
    const others: string[] = [];
    let deltas = 0;
    for (const [at, oid] of oids.entries()) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      const [start, end] = [offsets[at] ?? 0, ends[at] ?? 0];
      const bytes = this.#window.loaded(start, end) ?? (await this.#window.load(start, end));
      const entry = parsePackEntry(bytes, oidBytes);
      const body = start + entry.headerBytes;
      invariant(body < end, 'pack-entries', 'an entry of a pack ends in its header');
      const header = this.#headerOf(at, entry);
      if (header === undefined) {
        others.push(oid);
        continue;
      }
      if (entry.kind !== 'object') deltas++;
      this.#starts[at] = output.position;
      output.add(header);
      if (!this.#window.copyLoaded(body, end)) await this.#window.copy(body, end);
    }
    await output.drain();
    return { deltas, others };
  }

  /** Returns the header of an entry in the output; `undefined` if the client lacks its base. */
  #headerOf(at: number, entry: PackEntry): Buffer | undefined {
    if (entry.kind === 'object') return entryHeader(entry.type, entry.size);
    const { chains, output } = this.#options;
    const { offsets, oids } = this.#pack;
    const start = offsets[at] ?? 0;
    const position =
      entry.kind === 'name-delta'
        ? this.#byId.get(entry.base.toString('hex'))
        : this.#byOffset.get(start - entry.distance);
    const base = position === undefined ? this.#baseOfClient(start, entry) : oids[position];
    if (base === undefined) return undefined;
    if (position !== undefined) chains.add(oids[at] ?? '', base);
    const sentAt = position === undefined ? -1 : (this.#starts[position] ?? -1);
    if (sentAt < 0) return Buffer.concat([entryHeader('name-delta', entry.size), Buffer.from(base, 'hex')]);
    const distance = encodedDistance(output.position - sentAt);
    return Buffer.concat([entryHeader('offset-delta', entry.size), distance]);
  }

  /** Returns the id of a base that only the client has. */
  #baseOfClient(start: number, entry: DeltaEntry): string | undefined {
    const { chains, entries } = this.#options;
    if (!chains.isThin) return undefined;
    const { stem } = this.#pack;
    const oid =
      entry.kind === 'name-delta'
        ? entry.base.toString('hex')
        : oidAt(entries, { stem, offset: start - entry.distance });
    return oid !== undefined && chains.isOfClient(oid) ? oid : undefined;
  }
}

/** Returns the id of an object; `undefined` if its pack was removed meanwhile. */
function oidAt(entries: PackEntries, place: StoredEntry): string | undefined {
  try {
    return entries.oidAt(place);
  } catch (error) {
    if (error instanceof FallBackToGit) return undefined;
    throw error;
  }
}
