import { closeSync, openSync } from 'node:fs';
import { LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { PackEntries } from '#git/objects/pack-entries';
import type { Repository } from '#storage/repository';
import type { DeltaChains } from './delta-chains.ts';

/**
 * How an entry of a pack is sent: as it is, as a delta to an object of the same pack by its
 * position or to an object of the client by its id, or not at all.
 */
export type EntryBase = 'none' | 'missing' | { readonly position: number } | { readonly oid: string };

/** Objects that one pack has, in the order of the pack. */
export interface PlacedInPack {
  /** Of the open file. */
  readonly fd: number;
  readonly oids: readonly string[];
  readonly offsets: Float64Array;
  readonly ends: Float64Array;
  readonly bases: readonly EntryBase[];
}

/** Where a repository has some objects. Disposing closes the files. */
export interface PlacedObjects extends Disposable {
  readonly packs: readonly PlacedInPack[];
  /** Objects that are in no pack, and deltas whose base the client does not get. */
  readonly others: readonly string[];
}

interface Place {
  readonly oid: string;
  readonly offset: number;
}

const MISSING = new FallBackToGit('an object is missing');

/** Limit of packs that are open for one fetch. */
const MAX_PACKS = 64;

/**
 * Finds objects in the packs of a repository, and opens these.
 *
 * @throws {FallBackToGit} when that takes git; the system's error; {GitalyError} of an abort.
 */
export async function placeObjects(
  { objects }: Repository,
  { chains, oids }: { readonly chains: DeltaChains; readonly oids: Iterable<string> },
  signal: AbortSignal,
): Promise<PlacedObjects> {
  const { entries } = objects;
  const byPack = new Map<string, Place[]>();
  const others: string[] = [];
  for (const oid of oids) {
    const entry = await entries.find(oid, signal);
    if (entry === undefined) {
      if ((await objects.info(oid, { signal })) === undefined) throw MISSING;
      others.push(oid);
    } else {
      const place = { oid, offset: entry.offset };
      if (!byPack.get(entry.stem)?.push(place)) byPack.set(entry.stem, [place]);
    }
  }
  if (byPack.size > MAX_PACKS) throw new FallBackToGit('the objects are in too many packs');
  using opened = new DisposableStack();
  const packs: PlacedInPack[] = [];
  for (const [stem, places] of byPack) {
    // A trip to another thread takes longer.
    const fd = openSync(`${stem}.pack`, 'r');
    opened.defer(() => closeSync(fd));
    const sorted = await sortInTurns(places, (a, b) => a.offset - b.offset, signal);
    const offsets = Float64Array.from(sorted, ({ offset }) => offset);
    const ends = await entries.endsOf(stem, offsets, signal);
    const bases = await findBases(sorted, { chains, entries, stem, signal });
    for (const [at, base] of bases.entries()) if (base === 'missing') others.push(sorted[at]?.oid ?? '');
    packs.push({ fd, oids: sorted.map(({ oid }) => oid), offsets, ends, bases });
  }
  const kept = opened.move();
  return { packs, others, [Symbol.dispose]: () => kept.dispose() };
}

interface BaseOptions {
  readonly chains: DeltaChains;
  readonly entries: PackEntries;
  readonly stem: string;
  readonly signal: AbortSignal;
}

async function findBases(
  places: readonly Place[],
  { chains, entries, signal, stem }: BaseOptions,
): Promise<EntryBase[]> {
  const byOffset = new Map(places.map(({ offset }, at) => [offset, at]));
  const byId = new Map(places.map(({ oid }, at) => [oid, at]));
  const slice = new LoopSlice();
  const bases: EntryBase[] = [];
  for (const { offset, oid } of places) {
    if (slice.isOverAfterItem()) await slice.pause(signal);
    const entry = entries.headerOf({ stem, offset });
    if (entry.kind === 'object') {
      bases.push('none');
      continue;
    }
    const named = entry.kind === 'name-delta' ? entry.base.toString('hex') : undefined;
    const start = entry.kind === 'offset-delta' ? offset - entry.distance : 0;
    const position = named === undefined ? byOffset.get(start) : byId.get(named);
    const base = position === undefined ? undefined : places[position]?.oid;
    if (position !== undefined && base !== undefined) {
      chains.add(oid, base);
      bases.push({ position });
    } else {
      const ofClient = chains.isThin ? (named ?? entries.oidAt({ stem, offset: start })) : '';
      bases.push(chains.isOfClient(ofClient) ? { oid: ofClient } : 'missing');
    }
  }
  return bases;
}
