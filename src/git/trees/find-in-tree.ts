import type { RawObject } from '../objects/object-info.ts';
import type { TreeEntry } from '../objects/parse-tree.ts';
import { oidBytesOf, TreeCursor } from './tree-cursor.ts';

/** Entries that are remembered of one tree. */
const MAX_KNOWN = 1_000;

/** What was found in trees that are still in memory: small ones are, and of those that are asked for often the same entries are wanted. */
const known = new WeakMap<Buffer, Map<string, TreeEntry>>();

/**
 * Finds the first entry of a name in a tree object, without making the others.
 *
 * @throws {GitalyError} without a code of its own when the data in front of the entry are no tree's.
 */
export function findInTree(tree: RawObject, name: Buffer): TreeEntry | undefined {
  const key = name.toString('latin1');
  const inTree = known.get(tree.data);
  const entry = inTree?.get(key) ?? scan(tree, name);
  if (entry === undefined) return undefined;
  if (inTree === undefined) known.set(tree.data, new Map([[key, entry]]));
  else if (inTree.size < MAX_KNOWN) inTree.set(key, entry);
  return entry;
}

function scan({ data, oid }: RawObject, name: Buffer): TreeEntry | undefined {
  const cursor = new TreeCursor(data, oidBytesOf(oid));
  while (cursor.next()) {
    if (cursor.isNamed(name)) return { mode: cursor.mode, name: cursor.name(), oid: cursor.oid() };
  }
  return undefined;
}
