import type { RawObject } from '../objects/object-info.ts';
import type { TreeEntry } from '../objects/parse-tree.ts';
import { oidBytesOf, TreeCursor } from './tree-cursor.ts';

/**
 * Finds the first entry of a name in a tree object, without making the others.
 *
 * @throws {GitalyError} without a code of its own when the data in front of the entry are no tree's.
 */
export function findInTree({ data, oid }: RawObject, name: Uint8Array): TreeEntry | undefined {
  const cursor = new TreeCursor(data, oidBytesOf(oid));
  while (cursor.next()) {
    if (cursor.isNamed(name)) return { mode: cursor.mode, name: cursor.name(), oid: cursor.oid() };
  }
  return undefined;
}
