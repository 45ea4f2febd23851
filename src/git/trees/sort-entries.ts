import { inTurns, LoopSlice, mapInTurns } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import type { EntryKind } from '../names/entry-kind.ts';
import type { WalkedEntry } from './walked-entry.ts';

/**
 * `kind`: directories, files, submodules, each in git's order; `path`: by the bytes of the path.
 */
export type EntryOrder = 'kind' | 'path';

type Batch = readonly WalkedEntry[];

const KINDS: readonly EntryKind[] = ['tree', 'blob', 'submodule'];

/**
 * Yields the entries of a listing in another order than git's. All of them are kept in memory, and
 * sorted in slices of the event loop.
 */
export function sortEntries(
  batches: AsyncIterable<Batch>,
  order: EntryOrder,
  signal?: AbortSignal,
): AsyncIterable<Batch> {
  return order === 'path' ? byPath(batches, signal) : byKind(batches, signal);
}

/** Keeps the batches short: one array of all entries takes long to grow. */
async function* byKind(
  batches: AsyncIterable<Batch>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
  const kept = new Map(KINDS.map((kind): [EntryKind, Batch[]] => [kind, []]));
  const slice = new LoopSlice();
  for await (const batch of batches) {
    for (const [kind, parts] of kept) {
      const part = batch.filter((entry) => entry.kind === kind);
      if (part.length > 0) parts.push(part);
    }
    await slice.pause(signal);
  }
  for (const parts of kept.values())
    for (const part of parts) {
      yield part;
      await slice.pause(signal);
    }
}

async function* byPath(
  batches: AsyncIterable<Batch>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
  const entries: WalkedEntry[] = [];
  const slice = new LoopSlice();
  for await (const batch of batches) {
    for (const entry of batch) entries.push(entry);
    await slice.pause(signal);
  }
  // A path is built on access, and sorting accesses it often.
  const named = await mapInTurns(entries, (entry) => ({ entry, path: entry.path }), signal);
  const sorted = await sortInTurns(named, (a, b) => a.path.compare(b.path), signal);
  yield* inTurns(await mapInTurns(sorted, ({ entry }) => entry, signal), signal);
}
