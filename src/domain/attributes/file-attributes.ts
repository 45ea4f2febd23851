import { GitalyError } from '#base/gitaly-error';
import { isLocalPath } from '#base/go/is-local-path';
import { normalizePath } from '#base/normalize-path';
import { mapAhead } from '#base/streams/map-ahead';
import { type AttributeFile, TreeAttributes } from '#git/attributes/tree-attributes';
import { gitCommand } from '#git/command/git-command';
import { DirectoriesAbove, type Directory } from '#git/trees/find-entry';
import type { Repository } from '#storage/repository';

export interface AttributesQuery {
  readonly revision: Buffer;
  readonly paths: readonly string[];
  /** Names of attributes. */
  readonly names: readonly string[];
}

/** A value that `.gitattributes` give to a path. */
export interface FileAttribute {
  /** As in the query. */
  readonly path: string;
  readonly name: string;
  /** `set`, `unset` or the value. */
  readonly value: string;
}

/** @see git: attr.c, attr_name_valid */
const NAME = /^[A-Za-z0-9_.][-A-Za-z0-9_.]*$/;
const ATTRIBUTES = Buffer.from('.gitattributes');
const LOOK_UPS_AT_ONCE = 128;

/**
 * Returns the attributes of paths that are not unspecified, as `git check-attr --source=<revision>`
 * prints them: in the order of the paths, then of the names. Works with versions of git without
 * that option too.
 *
 * @throws {GitalyError} without a code: for a revision that does not exist, a path that leaves the
 *   repository, an invalid name.
 */
export async function fileAttributes(
  repository: Repository,
  { revision, paths, names }: AttributesQuery,
  signal: AbortSignal,
): Promise<FileAttribute[]> {
  checkNames(names);
  requireNoNul(paths[0] ?? '');
  const { objects } = repository;
  const source = names.every((name) => NAME.test(name)) && (await objects.info(revision, { signal }));
  if (!source) throw gitFails();
  const normal = paths.map(normalPath);
  const files = await attributeFiles(repository, { oid: Buffer.from(source.oid), paths: normal }, signal);
  const tree = await TreeAttributes.read(repository, objects, files, { signal });
  const found = await tree.of(normal, { signal });
  return paths.flatMap((path, index) =>
    names.flatMap((name) => {
      const state = found[index]?.get(name);
      if (state === undefined) return [];
      return { path, name, value: typeof state === 'string' ? state : decodeValue(state.value) };
    }),
  );
}

/** @throws {GitalyError} for a name that git would take for an option. */
function checkNames(names: readonly string[]): void {
  try {
    gitCommand('check-attr', { args: names });
  } catch (error) {
    throw error instanceof GitalyError
      ? new GitalyError(error.code, `start check-attr command: ${error.message}`, { cause: error })
      : error;
  }
}

/** Returns a path without empty parts, `.` and `..`, as git does before it matches patterns. */
function normalPath(path: string): Buffer {
  requireNoNul(path);
  if (path === '') return Buffer.alloc(0);
  const bytes = Buffer.from(path);
  if (!isLocalPath(bytes)) throw gitFails();
  const normal = normalizePath(bytes.toString('latin1')).replace(/\/$/, '');
  return Buffer.from(normal === '.' ? '' : normal, 'latin1');
}

function requireNoNul(path: string): void {
  if (path.includes('\0')) throw new GitalyError('UNKNOWN', 'path with NUL byte not allowed');
}

/** Finds the `.gitattributes` in the directories of paths. */
async function attributeFiles(
  { objects }: Repository,
  { oid, paths }: { readonly oid: Buffer; readonly paths: readonly Buffer[] },
  signal: AbortSignal,
): Promise<AttributeFile[]> {
  const directories = new DirectoriesAbove(objects, oid, { signal });
  const seen = new Set<Directory>();
  const files: AttributeFile[] = [];
  const look = async (path: Buffer): Promise<void> => {
    for await (const directory of directories.of(path)) {
      if (seen.has(directory)) continue;
      seen.add(directory);
      const entry = await directory.find(ATTRIBUTES);
      if (entry !== undefined) files.push({ directory: directory.path, oid: entry.oid });
    }
  };
  for await (const _ of mapAhead(paths, LOOK_UPS_AT_ONCE, look));
  return files;
}

/** Returns the error of a `git check-attr` that ends without a result. */
function gitFails(): GitalyError {
  return new GitalyError('UNKNOWN', 'read line: EOF');
}

/** @param value one character per byte. */
function decodeValue(value: string): string {
  return Buffer.from(value, 'latin1').toString();
}
