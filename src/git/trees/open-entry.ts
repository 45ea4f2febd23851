import { type EntryKind, kindOf } from '../names/entry-kind.ts';
import { isPlainPath } from '../names/plain-path.ts';
import type { ObjectReader, ReadOptions } from '../objects/object-reader.ts';
import { OpenedObject, type OpenObject } from '../objects/opened-object.ts';
import { findInTree, searchTree } from '../objects/parse/find-in-tree.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';

export interface OpenEntry {
  readonly entry: TreeEntry;
  readonly kind: EntryKind;
  /**
   * `undefined` for a submodule, and if the object is missing. Its type differs from `kind` in an
   * inconsistent tree. The receiver reads its stream or destroys it, unless it has `data`.
   */
  readonly object: OpenObject | undefined;
}

const SLASH = 0x2f;
const LINE_FEED = 0x0a;
const COLON = Buffer.from(':');
const NO_BYTES = Buffer.alloc(0);

/**
 * Opens the object at a path of a revision, compared byte by byte: a path with an empty part, `.`
 * or `..`, or a leading or trailing slash has no object, nor has one through a file, a link or a
 * submodule. Costs one round trip to a running process: the tree and the object are requested
 * together, and if the revision moved in between, the object is requested again.
 *
 * @returns `undefined` if there is no such entry or revision, or the revision has no tree.
 * @throws {GitalyError} as `ObjectReader.openObject` does.
 */
export async function openEntry(
  objects: ObjectReader,
  revision: Buffer,
  path: Buffer,
  options: ReadOptions = {},
): Promise<OpenEntry | undefined> {
  if (!isPlainPath(path)) return undefined;
  const slash = path.lastIndexOf(SLASH);
  const directory = slash === -1 ? NO_BYTES : path.subarray(0, slash);
  const name = path.subarray(slash + 1);
  const snapshot = objects.snapshot(revision);
  const places = {
    tree: Buffer.concat([snapshot, COLON, directory]),
    object: Buffer.concat([snapshot, COLON, path]),
  };
  const known = entryAtHand(objects, places, name);
  if (known !== undefined) return known;

  const reading = objects.readObject(places.tree, options);
  const guess = isCheap(snapshot, path) ? objects.openObject(places.object, options) : undefined;
  // A read by the entry's id reports the error again.
  const guessed = guess?.catch(() => undefined);
  let isTaken = false;
  try {
    const tree = await reading;
    if (tree?.type !== 'tree') return undefined;
    const entry = await searchTree(tree, name, options.signal);
    if (entry === undefined) return undefined;
    const kind = kindOf(entry.mode);
    if (kind === 'submodule') return { entry, kind, object: undefined };
    const object = await guessed;
    isTaken = object?.oid === entry.oid;
    return { entry, kind, object: isTaken ? object : await objects.openObject(entry.oid, options) };
  } finally {
    if (!isTaken) void guessed?.then(abandon);
  }
}

/** Opens an entry whose tree and object are cached, as they usually are for popular files. */
function entryAtHand(
  objects: ObjectReader,
  places: { tree: Buffer; object: Buffer },
  name: Buffer,
): OpenEntry | undefined {
  const tree = objects.cached(places.tree);
  const object = tree?.type === 'tree' ? objects.cached(places.object) : undefined;
  if (tree === undefined || object === undefined) return undefined;
  const entry = findInTree(tree, name);
  return entry?.oid === object.oid
    ? { entry, kind: kindOf(entry.mode), object: new OpenedObject(object) }
    : undefined;
}

/**
 * Reports whether requesting the object by its path costs no more than by its id: some revisions
 * need a dedicated process.
 */
function isCheap(revision: Buffer, path: Buffer): boolean {
  return (
    !path.includes(LINE_FEED) && !path.includes(0) && !revision.includes('@{') && !revision.includes('^{/')
  );
}

function abandon(object: OpenObject | undefined): void {
  if (object !== undefined && object.data === undefined) object.stream.destroy();
}
