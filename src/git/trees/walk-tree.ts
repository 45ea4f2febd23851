import { abortError } from '../command/exit-error.ts';
import type { RawObject } from '../objects/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { oidBytesOf, TreeCursor } from './tree-cursor.ts';
import { type AwaitedTree, type ReadTree, TreeLookAhead } from './tree-look-ahead.ts';
import { WalkedEntry } from './walked-entry.ts';

export interface WalkTreeOptions {
  /** Also what is in the directories below, behind the entry of each. */
  readonly recursive: boolean;
  /** The directory that the tree is, without a slash at its end; empty for the root. */
  readonly prefix?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** The object of a tree below the one that is walked is not there, or is no tree. */
export class MissingTreeError extends Error {
  override readonly name = 'MissingTreeError';
  readonly oid: string;

  constructor(oid: string) {
    super('a tree is missing');
    this.oid = oid;
  }
}

/** Entries that are handed out together, unless the walk has to wait. */
const BATCH = 1000;
const SLASH = 0x2f;

/** A directory that the walk is in. */
interface Frame {
  readonly cursor: TreeCursor;
  /** Ends with a slash, unless it is empty. */
  readonly prefix: Buffer;
}

/**
 * Lists a tree in git's order, directories before what is in them, like `git ls-tree [-r -t]`: in batches of what is at hand. Trees are
 * read ahead through the shared processes, so that a walk costs a round trip per level and not per tree; a reader that is slow, or
 * leaves, stops it after some hundred trees.
 *
 * @throws {MissingTreeError} behind the entries before it; {GitalyError} as `ObjectReader.readObject` does, without a code for a tree
 *   that cannot be parsed, CANCELLED or DEADLINE_EXCEEDED when `signal` is aborted.
 */
export async function* walkTree(
  objects: ObjectReader,
  root: RawObject,
  { recursive, prefix = new Uint8Array(0), signal }: WalkTreeOptions,
): AsyncGenerator<WalkedEntry[], void, undefined> {
  const ahead = new TreeLookAhead(objects);
  const top: ReadTree = recursive ? ahead.begin(root) : { object: root, firstChild: undefined };
  const frames: Frame[] = [enter(top, prefix)];
  let next = top.firstChild;
  let batch: WalkedEntry[] = [];
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    if (!frame.cursor.next()) {
      frames.pop();
      continue;
    }
    const entry = new WalkedEntry(frame.prefix, frame.cursor);
    batch.push(entry);
    if (batch.length === BATCH) {
      yield batch;
      batch = [];
    }
    if (entry.kind !== 'tree' || next === undefined) continue;
    const awaited: AwaitedTree = next;
    let tree = ahead.take(awaited);
    if (tree instanceof Promise) {
      if (batch.length > 0) yield batch;
      batch = [];
      tree = await tree;
    }
    if (signal?.aborted === true) throw abortError(signal);
    if (tree === undefined) {
      if (batch.length > 0) yield batch;
      throw new MissingTreeError(awaited.oid);
    }
    next = awaited.next;
    frames.push(enter(tree, entry.path));
  }
  if (batch.length > 0) yield batch;
}

function enter({ object }: ReadTree, directory: Uint8Array): Frame {
  return { cursor: new TreeCursor(object.data, oidBytesOf(object.oid)), prefix: asPrefix(directory) };
}

function asPrefix(directory: Uint8Array): Buffer {
  if (directory.length === 0) return Buffer.alloc(0);
  const prefix = Buffer.allocUnsafe(directory.length + 1);
  prefix.set(directory);
  prefix[directory.length] = SLASH;
  return prefix;
}
