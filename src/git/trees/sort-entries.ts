import type { EntryKind } from './entry-kind.ts';
import type { WalkedEntry } from './walked-entry.ts';

/**
 * `kind`: directories, files, submodules, each in git's order; `path`: by the bytes of the path.
 */
export type EntryOrder = 'kind' | 'path';

const RANKS: Readonly<Record<EntryKind, number>> = { tree: 0, blob: 1, submodule: 2 };

/** Yields the entries of a listing in another order than git's. All of them are kept in memory. */
export async function* sortEntries(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  order: EntryOrder,
): AsyncGenerator<readonly WalkedEntry[], void, undefined> {
  const all: WalkedEntry[] = [];
  for await (const batch of batches) for (const entry of batch) all.push(entry);
  yield order === 'path' ? byPath(all) : all.sort((a, b) => RANKS[a.kind] - RANKS[b.kind]);
}

function byPath(entries: readonly WalkedEntry[]): WalkedEntry[] {
  // A path is built on access, and sorting accesses it often.
  const named = entries.map((entry) => ({ entry, path: entry.path }));
  return named.sort((a, b) => a.path.compare(b.path)).map(({ entry }) => entry);
}
