import type { EntryKind } from './entry-kind.ts';
import type { WalkedEntry } from './walk-tree.ts';

/** `kind`: directories, files, submodules, each in git's order; `path`: by the bytes of the path. */
export type EntryOrder = 'kind' | 'path';

const RANKS: Readonly<Record<EntryKind, number>> = { tree: 0, blob: 1, submodule: 2 };

/** The entries of a listing in another order than git's. All of them are held in memory. */
export async function* sortEntries(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  order: EntryOrder,
): AsyncGenerator<readonly WalkedEntry[], void, undefined> {
  const all: WalkedEntry[] = [];
  for await (const batch of batches) for (const entry of batch) all.push(entry);
  if (order === 'path') all.sort((a, b) => a.path.compare(b.path));
  else all.sort((a, b) => RANKS[a.kind] - RANKS[b.kind]);
  yield all;
}
