import { mapAhead } from '#base/map-ahead';
import type { ObjectReader, ReadOptions, Revision } from '../objects/object-reader.ts';
import { kindOf } from './entry-kind.ts';
import { oidBytesOf, TreeCursor } from './tree-cursor.ts';

/** Directories that are passed at most. */
const MAX_STEPS = 9;
/** Entries that are followed at once. */
const AHEAD = 64;
/** Longer trees have more than one entry, whatever its name is. */
const MAX_TREE_BYTES = 8 * 1024;
const SLASH = Buffer.from('/');

/** A directory: where it is, and what its tree is to be read as (its id, or a name that leads to it). */
export interface NamedTree {
  readonly path: Buffer;
  readonly tree: Revision;
}

/**
 * For each directory the path that one comes to by passing directories with nothing but one directory in them, in the order given. It is
 * the directory's own path where there is nothing to pass.
 *
 * @throws {GitalyError} as `ObjectReader.readObject` does.
 */
export function flatPaths(
  objects: ObjectReader,
  directories: Iterable<NamedTree>,
  options: ReadOptions = {},
): AsyncGenerator<Buffer> {
  return mapAhead(directories, AHEAD, (directory) => flatPath(objects, directory, options));
}

async function flatPath(objects: ObjectReader, { path, tree }: NamedTree, options: ReadOptions): Promise<Buffer> {
  let flat = path;
  let at: Revision = tree;
  for (let step = 0; step < MAX_STEPS; step++) {
    const object = await objects.readObject(at, options);
    if (object?.type !== 'tree' || object.size > MAX_TREE_BYTES) break;
    const cursor = new TreeCursor(object.data, oidBytesOf(object.oid));
    if (!cursor.next() || kindOf(cursor.mode) !== 'tree') break;
    const [name, oid] = [cursor.name(), cursor.oid()];
    if (cursor.next()) break;
    flat = Buffer.concat([flat, SLASH, name]);
    at = oid;
  }
  return flat;
}
