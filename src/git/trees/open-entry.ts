import { type ObjectReader, OpenedObject, type OpenObject, type ReadOptions } from '../objects/object-reader.ts';
import type { TreeEntry } from '../objects/parse-tree.ts';
import { type EntryKind, kindOf } from './entry-kind.ts';
import { findInTree } from './find-in-tree.ts';

/** An entry of a tree, and its object. */
export interface OpenEntry {
  readonly entry: TreeEntry;
  readonly kind: EntryKind;
  /**
   * `undefined` for a submodule, and when the object is missing. Of another type than `kind` when the tree lies. Whoever gets it reads
   * its stream or destroys it, unless it has `data`.
   */
  readonly object: OpenObject | undefined;
}

const SLASH = 0x2f;
const LINE_FEED = 0x0a;
const COLON = Buffer.from(':');
const NO_BYTES = Buffer.alloc(0);

/**
 * Opens what lies at a path of a revision, byte for byte: a path with an empty part, `.` or `..` in it, or a slash at an end, leads nowhere,
 * and neither does one through a file, a link or a submodule. Costs one round trip to a living process: the tree and the object are asked for
 * at once, and where the revision moved in between, the object is asked for again.
 *
 * @returns `undefined` when there is no such entry, no such revision, or the revision has no tree.
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
  const pinned = objects.pin(revision);
  const places = { tree: Buffer.concat([pinned, COLON, directory]), object: Buffer.concat([pinned, COLON, path]) };
  const known = entryAtHand(objects, places, name);
  if (known !== undefined) return known;

  const reading = objects.readObject(places.tree, options);
  const guess = isCheap(pinned, path) ? objects.openObject(places.object, options) : undefined;
  // Whatever is wrong with it is found again by the entry's id.
  const guessed = guess?.catch(() => undefined);
  let isTaken = false;
  try {
    const tree = await reading;
    if (tree?.type !== 'tree') return undefined;
    const entry = findInTree(tree, name);
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

/** The same where tree and object are known already, as they mostly are of a file that many look at. */
function entryAtHand(objects: ObjectReader, places: { tree: Buffer; object: Buffer }, name: Buffer): OpenEntry | undefined {
  const tree = objects.atHand(places.tree);
  const object = tree?.type === 'tree' ? objects.atHand(places.object) : undefined;
  if (tree === undefined || object === undefined) return undefined;
  const entry = findInTree(tree, name);
  return entry?.oid === object.oid ? { entry, kind: kindOf(entry.mode), object: new OpenedObject(object) } : undefined;
}

/** Whether a question for the object by its path costs no more than one by its id: some revisions get a process of their own. */
function isCheap(revision: Buffer, path: Buffer): boolean {
  return !path.includes(LINE_FEED) && !path.includes(0) && !revision.includes('@{') && !revision.includes('^{/');
}

function abandon(object: OpenObject | undefined): void {
  if (object !== undefined && object.data === undefined) object.stream.destroy();
}

/** Whether a path is one that git would print: no empty part, none that is `.` or `..`. */
export function isPlainPath(path: Uint8Array): boolean {
  // One character per byte: only dots and slashes matter.
  const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
  return !/(?:^|\/)(?:\.\.?)?(?:\/|$)/.test(text);
}
