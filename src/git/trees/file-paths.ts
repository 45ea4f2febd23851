import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { kindOf } from '../names/entry-kind.ts';
import { isOid, oidBytesOf } from '../names/object-id.ts';
import { isPlainPath } from '../names/plain-path.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import type { GitRepository } from '../repository.ts';

/** A part of a revision's files. */
export interface FilePathsQuery {
  /** An id, or the name of a reference. */
  readonly revision: Buffer;
  /** A file or directory, relative to the root, which is `.`. */
  readonly path: Buffer;
}

interface Options {
  readonly signal?: AbortSignal | undefined;
}

/** Limits of a list; git lists what is beyond them. */
export const FILE_PATHS_LIMITS = {
  /** Directories that are read. */
  trees: 2_000,
  /** Nested directories. */
  depth: 200,
  /** Bytes of a directory's path. */
  pathBytes: 64 * 1024,
} as const;

const BATCH = 256;
const SLASH = 0x2f;
const COLON = 0x3a;
const ROOT = Buffer.from('.');
const NO_BYTES = Buffer.alloc(0);

/** A directory that is being listed. */
interface Frame {
  readonly cursor: TreeCursor;
  /** Ends with a slash, unless it is empty. */
  readonly prefix: Buffer;
}

/**
 * Lists the paths of the files at or below a path, submodules included, in batches, as `git ls-tree
 * -r --full-tree` does. The reads pause to let the event loop continue. A reader that stops early
 * ends them.
 *
 * @throws {FallBackToGit} for unusual revisions and paths, and for what only git can read, possibly
 *   after some paths; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when `signal` is aborted.
 */
export async function* filePaths(
  { objects, objectFormat }: GitRepository,
  { revision, path }: FilePathsQuery,
  options: Options = {},
): AsyncGenerator<Buffer[], void, undefined> {
  const commit = objects.snapshot(revision).toString('latin1');
  if (!isOid(commit, objectFormat)) throw new FallBackToGit('an unusual revision');
  const start = path.equals(ROOT)
    ? { oid: `${commit}^{tree}`, prefix: NO_BYTES }
    : await findStart(objects, commit, path, options);
  if (Buffer.isBuffer(start)) yield [start];
  else if (start !== undefined) yield* filesBelow(objects, start, options);
}

interface Start {
  readonly oid: string;
  readonly prefix: Buffer;
}

/**
 * Finds the directory of a path. Returns the path itself if it is a file, and `undefined` if there
 * is none.
 */
async function findStart(
  objects: ObjectReader,
  commit: string,
  path: Buffer,
  options: Options,
): Promise<Start | Buffer | undefined> {
  const isDirectory = path.at(-1) === SLASH;
  const name = isDirectory ? path.subarray(0, -1) : path;
  if (name[0] === COLON || name.includes(0) || !isPlainPath(name)) throw new FallBackToGit('an unusual path');
  let oid = `${commit}^{tree}`;
  for (let at = 0; ; ) {
    const slash = name.indexOf(SLASH, at);
    const isLast = slash === -1;
    const cursor = await openTree(objects, oid, options);
    if (!findEntry(cursor, name.subarray(at, isLast ? name.length : slash))) return undefined;
    const kind = kindOf(cursor.mode);
    if (kind !== 'tree') {
      if (kind === 'submodule' && (isDirectory || !isLast)) throw new FallBackToGit('an unusual path');
      return isLast && !isDirectory ? name : undefined;
    }
    oid = cursor.oid();
    if (isLast) return { oid, prefix: prefixOf(NO_BYTES, name) };
    at = slash + 1;
  }
}

function findEntry(cursor: TreeCursor, name: Buffer): boolean {
  try {
    while (cursor.next()) if (cursor.isNamed(name)) return true;
    return false;
  } catch (error) {
    return fallBackOnFailure(error);
  }
}

async function* filesBelow(
  objects: ObjectReader,
  { oid, prefix }: Start,
  options: Options,
): AsyncGenerator<Buffer[], void, undefined> {
  const frames: Frame[] = [{ cursor: await openTree(objects, oid, options), prefix }];
  let trees = 1;
  let batch: Buffer[] = [];
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const directory = nextDirectory(frame, batch);
    if (batch.length >= BATCH) {
      yield batch;
      batch = [];
    }
    if (directory === 'end') frames.pop();
    if (typeof directory === 'string') continue;
    if (++trees > FILE_PATHS_LIMITS.trees || frames.length >= FILE_PATHS_LIMITS.depth)
      throw new FallBackToGit('there are very many directories');
    frames.push({ cursor: await openTree(objects, directory.oid, options), prefix: directory.prefix });
  }
  if (batch.length > 0) yield batch;
}

/**
 * Adds the files up to the next directory to a batch. Returns the directory, `end` if there are no
 * more entries, and `full` if the batch is full.
 */
function nextDirectory({ cursor, prefix }: Frame, batch: Buffer[]): Start | 'end' | 'full' {
  try {
    while (cursor.next()) {
      if (kindOf(cursor.mode) === 'tree')
        return { oid: cursor.oid(), prefix: prefixOf(prefix, cursor.name()) };
      if (batch.push(pathOf(prefix, cursor)) >= BATCH) return 'full';
    }
    return 'end';
  } catch (error) {
    return fallBackOnFailure(error);
  }
}

async function openTree(objects: ObjectReader, oid: string, options: Options): Promise<TreeCursor> {
  const object = await objects.readInProcess(oid, options);
  if (object.type !== 'tree') throw new FallBackToGit('a directory is not a tree');
  return new TreeCursor(object.data, oidBytesOf(object.oid));
}

function pathOf(prefix: Buffer, { data, nameAt, nameEnd }: TreeCursor): Buffer {
  const path = Buffer.allocUnsafe(prefix.length + nameEnd - nameAt);
  prefix.copy(path);
  data.copy(path, prefix.length, nameAt, nameEnd);
  return path;
}

function prefixOf(above: Buffer, name: Buffer): Buffer {
  const prefix = Buffer.concat([above, name, Buffer.of(SLASH)]);
  if (prefix.length > FILE_PATHS_LIMITS.pathBytes) throw new FallBackToGit('a path is very long');
  return prefix;
}
