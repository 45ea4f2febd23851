import { LoopSlice } from '#base/async/loop-turns';
import { oidBytesOf } from '../names/object-id.ts';
import type { RawObject } from '../names/object-info.ts';
import { parseTreeInTurns, type TreeEntry } from '../objects/parse/parse-tree.ts';

/**
 * Returns the entries of a tree by name, as latin1 text with one character per byte. Of duplicate
 * names (which git accepts) the first is used. Large trees are read in slices of the event loop.
 *
 * @throws as `parseTreeInTurns`.
 */
export async function treeTable(
  { data, oid }: RawObject,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, TreeEntry>> {
  const table = new Map<string, TreeEntry>();
  const slice = new LoopSlice();
  for (const entry of await parseTreeInTurns(data, oidBytesOf(oid), signal)) {
    const key = entry.name.toString('latin1');
    if (!table.has(key)) table.set(key, entry);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return table;
}
