import { mapAhead } from '#base/map-ahead';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { parseTree } from '../objects/parse-tree.ts';
import { kindOf } from './entry-kind.ts';
import type { WalkedEntry } from './walk-tree.ts';

/** Directories that are passed at most. */
const MAX_STEPS = 9;
/** Entries that are followed at once. */
const AHEAD = 64;
/** Longer trees have more than one entry, whatever its name is. */
const MAX_TREE_BYTES = 8 * 1024;
const SLASH = Buffer.from('/');

/**
 * For each entry the path that one comes to by passing directories with nothing but one directory in them, in the order of the entries. It is
 * the entry's own path where there is nothing to pass.
 *
 * @throws {GitalyError} as `ObjectReader.readObject` does.
 */
export function flatPaths(
  objects: ObjectReader,
  entries: Iterable<WalkedEntry>,
  options: ReadOptions = {},
): AsyncGenerator<Buffer> {
  return mapAhead(entries, AHEAD, (entry) => flatPath(objects, entry, options));
}

async function flatPath(objects: ObjectReader, { kind, path, oid }: WalkedEntry, options: ReadOptions): Promise<Buffer> {
  if (kind !== 'tree') return path;
  let flat = path;
  let at = oid;
  for (let step = 0; step < MAX_STEPS; step++) {
    const tree = await objects.readObject(at, options);
    if (tree?.type !== 'tree' || tree.size > MAX_TREE_BYTES) break;
    const [only, ...others] = parseTree(tree.data, tree.oid.length === 40 ? 20 : 32);
    if (only === undefined || others.length > 0 || kindOf(only.mode) !== 'tree') break;
    flat = Buffer.concat([flat, SLASH, only.name]);
    at = only.oid;
  }
  return flat;
}
