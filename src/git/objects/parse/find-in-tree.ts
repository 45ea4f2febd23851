import { LoopSlice } from '#base/async/loop-turns';
import { oidBytesOf } from '#git/names/object-id';
import type { RawObject } from '#git/names/object-info';
import type { TreeEntry } from './parse-tree.ts';
import { TreeCursor } from './tree-cursor.ts';

/** Trees that are searched at once: a megabyte takes a millisecond. */
const MAX_AT_ONCE_BYTES = 1 << 20;
/** Limit of cached entries per tree. */
const MAX_KNOWN = 1_000;

/**
 * Entries found in trees that are still in memory: small trees are cached, and callers often
 * request the same entries.
 */
const known = new WeakMap<Buffer, Map<string, TreeEntry>>();

/**
 * Finds the first entry of a name in a tree object without parsing the others. Blocks the event
 * loop for the whole tree: use it for trees with a limited size.
 *
 * @throws {GitalyError} without a code when the data before the entry are not a tree.
 */
export function findInTree(tree: RawObject, name: Buffer): TreeEntry | undefined {
  const key = name.toString('latin1');
  return known.get(tree.data)?.get(key) ?? remember(tree, key, scan(tree, name));
}

/**
 * Finds the first entry of a name, as {@link findInTree} does. Large trees are read in slices of
 * the event loop.
 *
 * @throws as {@link findInTree}; the reason of the signal.
 */
export async function searchTree(
  tree: RawObject,
  name: Buffer,
  signal?: AbortSignal,
): Promise<TreeEntry | undefined> {
  if (tree.data.length <= MAX_AT_ONCE_BYTES) return findInTree(tree, name);
  const key = name.toString('latin1');
  return known.get(tree.data)?.get(key) ?? remember(tree, key, await scanInTurns(tree, name, signal));
}

function remember({ data }: RawObject, key: string, entry: TreeEntry | undefined): TreeEntry | undefined {
  if (entry === undefined) return undefined;
  const inTree = known.get(data);
  if (inTree === undefined) known.set(data, new Map([[key, entry]]));
  else if (inTree.size < MAX_KNOWN) inTree.set(key, entry);
  return entry;
}

async function scanInTurns(
  { data, oid }: RawObject,
  name: Buffer,
  signal: AbortSignal | undefined,
): Promise<TreeEntry | undefined> {
  const cursor = new TreeCursor(data, oidBytesOf(oid));
  const slice = new LoopSlice();
  while (cursor.next()) {
    if (cursor.isNamed(name)) return entryAt(cursor);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return undefined;
}

function entryAt(cursor: TreeCursor): TreeEntry {
  return { mode: cursor.mode, name: cursor.name(), oid: cursor.oid() };
}

function scan({ data, oid }: RawObject, name: Buffer): TreeEntry | undefined {
  const cursor = new TreeCursor(data, oidBytesOf(oid));
  while (cursor.next()) {
    if (cursor.isNamed(name)) return entryAt(cursor);
  }
  return undefined;
}
