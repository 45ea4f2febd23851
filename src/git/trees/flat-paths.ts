import { mapAhead } from '#base/streams/map-ahead';
import { kindOf } from '../names/entry-kind.ts';
import { oidBytesOf } from '../names/object-id.ts';
import type { ObjectReader, ReadOptions, Revision } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';

/** Limit of skipped directories. */
const MAX_STEPS = 9;
/** Number of entries that are followed concurrently. */
const AHEAD = 64;
/** Larger trees always have more than one entry. */
const MAX_TREE_BYTES = 8 * 1024;
const SLASH = Buffer.from('/');

/** A directory with its path, and the id or name by which its tree is read. */
export interface NamedTree {
  readonly path: Buffer;
  readonly tree: Revision;
}

/**
 * Returns for each directory, in the given order, the path reached by skipping directories that
 * contain only one directory. Without such directories it is the directory's own path.
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

async function flatPath(
  objects: ObjectReader,
  { path, tree }: NamedTree,
  options: ReadOptions,
): Promise<Buffer> {
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
