import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { isLocalPath } from '#base/go/is-local-path';
import { quote } from '#base/go/quote';
import { normalizePath } from '#base/normalize-path';
import { trimmedEnd, trimmedStart } from '#base/trim';
import { EMPTY_TREE } from '#git/names/object-id';
import { EntryFinder } from '#git/trees/find-entry';
import type { Repository } from '#storage/repository';

/** Paths of an archive, relative to the top of the tree. */
export interface ArchivePaths {
  /** File or directory; empty for all. */
  readonly path: Buffer;
  readonly excludes: readonly Buffer[];
  /** Archives the content of `path` as if it were the top. */
  readonly isElided: boolean;
}

/** Arguments for `git archive`. */
export interface ArchiveSource {
  /** A full id; followed by a colon and the path if the names omit the path. */
  readonly tree: Buffer;
  readonly pathspecs: readonly Buffer[];
}

const NO_BYTES = Buffer.alloc(0);
const SLASH = 0x2f;
const LITERAL = Buffer.from(':(literal)');
const EXCLUDED = Buffer.from(':(exclude,literal)');

/**
 * Returns a path without empty parts, `.`, `..`, and slashes around it; empty for the top.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `relative path escapes root directory`.
 */
export function archivePath(path: Uint8Array): Buffer {
  const text = trimmedStart(Buffer.from(path).toString('latin1'), '/');
  const bytes = Buffer.from(text, 'latin1');
  if (text !== '' && !isLocalPath(bytes)) throw invalidArgument('relative path escapes root directory');
  const clean = trimmedEnd(normalizePath(text), '/');
  return clean === '.' ? NO_BYTES : Buffer.from(clean, 'latin1');
}

/**
 * Checks that a revision has what is to be archived.
 *
 * @param revision checked; it has no path.
 * @throws {GitalyError} INTERNAL `object not found`; FAILED_PRECONDITION `path doesn't exist`,
 *   `exclude[1] doesn't exist`; INVALID_ARGUMENT for an exclude outside of an elided path.
 */
export async function findArchiveSource(
  repository: Repository,
  revision: Buffer,
  { path, excludes, isElided }: ArchivePaths,
  signal: AbortSignal,
): Promise<ArchiveSource> {
  const { objects } = repository;
  const object = await objects.info(revision, { signal });
  if (object === undefined) throw new GitalyError('INTERNAL', 'object not found');
  const finder = new EntryFinder(objects, { signal });
  const id = Buffer.from(object.oid);
  const exists = async (wanted: Buffer): Promise<boolean> => {
    if (wanted.length > 0) return (await finder.find(id, wanted)) !== undefined;
    const tree = await objects.info(`${object.oid}^{tree}`, { signal });
    return tree !== undefined && tree.oid !== EMPTY_TREE[repository.objectFormat];
  };
  if (!(await exists(path))) throw new GitalyError('FAILED_PRECONDITION', "path doesn't exist");
  for (const [index, exclude] of excludes.entries()) {
    if (isElided && !isBelow(exclude, path)) {
      const text = `invalid exclude: ${quote(shown(exclude))} is not a subdirectory of ${quote(shown(path))}`;
      throw invalidArgument(text);
    }
    if (!(await exists(exclude)))
      throw new GitalyError('FAILED_PRECONDITION', `exclude[${index}] doesn't exist`);
  }
  if (!isElided || path.length === 0)
    return { tree: id, pathspecs: [...literal(path), ...excludes.map(excluded)] };
  return {
    tree: Buffer.concat([id, Buffer.from(':'), path]),
    pathspecs: excludes.map((exclude) => excluded(exclude.subarray(path.length + 1))),
  };
}

/** Without the elided path, the excludes have no common prefix, and Gitaly refuses them. */
function isBelow(exclude: Buffer, path: Buffer): boolean {
  if (path.length === 0) return false;
  return exclude.subarray(0, path.length).equals(path) && exclude[path.length] === SLASH;
}

function shown(path: Buffer): Buffer | string {
  return path.length === 0 ? '.' : path;
}

function literal(path: Buffer): Buffer[] {
  return path.length === 0 ? [] : [Buffer.concat([LITERAL, path])];
}

function excluded(path: Buffer): Buffer {
  return Buffer.concat([EXCLUDED, path]);
}
