import { inTurns, mapInTurns } from '#base/loop-turns';
import { sortInTurns } from '#base/sort-in-turns';
import type { EntryKind } from './entry-kind.ts';
import type { WalkedEntry } from './walked-entry.ts';

/**
 * `kind`: directories, files, submodules, each in git's order; `path`: by the bytes of the path.
 */
export type EntryOrder = 'kind' | 'path';

const RANKS: Readonly<Record<EntryKind, number>> = { tree: 0, blob: 1, submodule: 2 };

/**
 * Yields the entries of a listing in another order than git's. All of them are kept in memory, and
 * sorted in slices of the event loop.
 */
export async function* sortEntries(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  order: EntryOrder,
  signal?: AbortSignal,
): AsyncGenerator<readonly WalkedEntry[], void, undefined> {
  const all: WalkedEntry[] = [];
  for await (const batch of batches) for (const entry of batch) all.push(entry);
  yield* inTurns(
    order === 'path' ? await byPath(all, signal) : await sortInTurns(all, byKind, signal),
    signal,
  );
}

function byKind(one: WalkedEntry, other: WalkedEntry): number {
  return RANKS[one.kind] - RANKS[other.kind];
}

async function byPath(
  entries: readonly WalkedEntry[],
  signal: AbortSignal | undefined,
): Promise<WalkedEntry[]> {
  // A path is built on access, and sorting accesses it often.
  const named = await mapInTurns(entries, (entry) => ({ entry, path: entry.path }), signal);
  const sorted = await sortInTurns(named, (a, b) => a.path.compare(b.path), signal);
  return await mapInTurns(sorted, ({ entry }) => entry, signal);
}
