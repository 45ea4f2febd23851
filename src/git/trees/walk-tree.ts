import { LoopSlice } from '#base/async/loop-turns';
import { abortError } from '../command/process/exit-error.ts';
import { oidBytesOf } from '../names/object-id.ts';
import type { RawObject } from '../names/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import { type AwaitedTree, type ReadTree, TreeLookAhead } from './tree-look-ahead.ts';
import { WalkedEntry } from './walked-entry.ts';

export interface WalkTreeOptions {
  /** Also lists the directories below, after the entry of each. */
  readonly recursive: boolean;
  /** The path of the tree's directory without a trailing slash; empty for the root. */
  readonly prefix?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** The object of a subtree is missing, or is not a tree. */
export class MissingTreeError extends Error {
  override readonly name = 'MissingTreeError';
  readonly oid: string;

  constructor(oid: string) {
    super('a tree is missing');
    this.oid = oid;
  }
}

/** Number of entries per batch, unless the walk must wait. */
const BATCH = 1000;
const SLASH = 0x2f;

/** A directory that is being walked. */
interface Frame {
  readonly cursor: TreeCursor;
  /** Ends with a slash, unless it is empty. */
  readonly prefix: Buffer;
}

/**
 * Lists a tree in git's order, directories before their contents, like `git ls-tree [-r -t]`, in
 * batches as they become available, and in slices of the event loop. Trees are read ahead through
 * the shared processes, so that a walk costs a round trip per level and not per tree. A slow
 * reader, or one that stops, ends it after some hundred trees.
 *
 * @throws {MissingTreeError} after the entries before it; {GitalyError} as
 *   `ObjectReader.readObject` does, without a code for a tree that cannot be parsed, CANCELLED or
 *   DEADLINE_EXCEEDED when `signal` is aborted.
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
  const slice = new LoopSlice();
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
      await slice.pause();
      if (signal?.aborted === true) throw abortError(signal);
    }
    if (entry.kind !== 'tree' || next === undefined) continue;
    const awaited: AwaitedTree = next;
    let tree = ahead.take(awaited);
    if (tree instanceof Promise) {
      // It may fail while the reader has the batch; without a handler that would end the server.
      tree.catch(() => undefined);
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
