import { type FileHandle, open } from 'node:fs/promises';
import { sortInTurns } from '#base/async/sort-in-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { Repository } from '#storage/repository';

/** Objects that one pack has, in the order of the pack. */
export interface PlacedInPack {
  /** Path of the pack, without `.pack`. */
  readonly stem: string;
  readonly file: FileHandle;
  readonly oids: readonly string[];
  readonly offsets: Float64Array;
  readonly ends: Float64Array;
}

/** Where a repository has some objects. Disposing closes the files. */
export interface PlacedObjects extends AsyncDisposable {
  readonly packs: readonly PlacedInPack[];
  /** Objects that are in no pack. */
  readonly loose: readonly string[];
}

/** Limit of packs that are open for one fetch. */
const MAX_PACKS = 64;

/**
 * Finds objects in the packs of a repository, and opens these.
 *
 * @throws {FallBackToGit} when that takes git; the system's error; {GitalyError} of an abort.
 */
export async function openEntries(
  { objects }: Repository,
  oids: Iterable<string>,
  signal: AbortSignal,
): Promise<PlacedObjects> {
  const { entries } = objects;
  const byPack = new Map<string, { readonly oid: string; readonly offset: number }[]>();
  const loose: string[] = [];
  for (const oid of oids) {
    const entry = await entries.find(oid, signal);
    if (entry === undefined) loose.push(oid);
    else {
      const { offset, stem } = entry;
      const known = byPack.get(stem);
      if (known !== undefined) known.push({ oid, offset });
      else byPack.set(stem, [{ oid, offset }]);
    }
  }
  if (byPack.size > MAX_PACKS) throw new FallBackToGit('the objects are in too many packs');
  await using opened = new AsyncDisposableStack();
  const packs: PlacedInPack[] = [];
  for (const [stem, places] of byPack) {
    const file = opened.use(await open(`${stem}.pack`));
    const sorted = await sortInTurns(places, (a, b) => a.offset - b.offset, signal);
    const offsets = Float64Array.from(sorted, ({ offset }) => offset);
    const ends = await entries.endsOf(stem, offsets, signal);
    packs.push({ stem, file, oids: sorted.map(({ oid }) => oid), offsets, ends });
  }
  const kept = opened.move();
  return { packs, loose, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
