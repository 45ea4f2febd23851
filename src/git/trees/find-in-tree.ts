import { oidBytesOf } from '../objects/object-id.ts';
import type { RawObject } from '../objects/object-info.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { TreeCursor } from './tree-cursor.ts';

/** Limit of cached entries per tree. */
const MAX_KNOWN = 1_000;

/**
 * Entries found in trees that are still in memory: small trees are cached, and callers often
 * request the same entries.
 */
const known = new WeakMap<Buffer, Map<string, TreeEntry>>();

/**
 * Finds the first entry of a name in a tree object without parsing the others.
 *
 * @throws {GitalyError} without a code when the data before the entry are not a tree.
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
