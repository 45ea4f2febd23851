import { mapInTurns } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '../command/git-command.ts';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { outputLines } from '../command/output.ts';
import { kindOf } from '../names/entry-kind.ts';
import { isOid, OID_BYTES } from '../names/object-id.ts';
import { isPlainPath } from '../names/plain-path.ts';
import { parseTreeInTurns } from '../objects/parse/parse-tree.ts';
import type { GitRepository } from '../repository.ts';
import { EntryFinder } from '../trees/find-entry.ts';

/** An entry as listed by `git ls-tree`. */
export interface ListedEntry {
  readonly type: string;
  /** Path from the root. */
  readonly path: Buffer;
}

interface DirectoryQuery {
  readonly revision: string;
  readonly path: Uint8Array;
  readonly literalPathspecs: boolean;
}

interface Options {
  readonly signal?: AbortSignal | undefined;
}

const TAB = 0x09;
const SLASH = 0x2f;
const COLON = 0x3a;
const ROOT = Buffer.from('.');

/**
 * Lists a path as `git ls-tree` does: the entries of a directory if the path ends with a slash,
 * otherwise the entry itself. The path `.` is the root.
 *
 * @throws {GitExitError} when there is no such revision, or the path leads out of the repository.
 */
export async function listDirectory(
  repository: GitRepository,
  query: DirectoryQuery,
  options: Options = {},
): Promise<ListedEntry[]> {
  return await repository.inProcess.attempt(
    'list_directory',
    () => readDirectory(repository, query, options),
    () => askGit(repository, query, options),
  );
}

/** @throws {FallBackToGit} for unusual revisions and paths, and when there is no such directory. */
async function readDirectory(
  { objects, objectFormat }: GitRepository,
  query: DirectoryQuery,
  options: Options,
): Promise<ListedEntry[]> {
  const path = Buffer.from(query.path);
  const isRoot = path.equals(ROOT);
  const directory = isRoot || path.at(-1) !== SLASH ? path : path.subarray(0, -1);
  const revision = objects.snapshot(Buffer.from(query.revision));
  if (!isOid(revision.toString('latin1'))) throw new FallBackToGit('an unusual revision');
  if (!isRoot && (!isPlainPath(directory) || path[0] === COLON)) throw new FallBackToGit('an unusual path');
  if (directory === path && !isRoot) {
    const entry = await new EntryFinder(objects, options).find(revision, path).catch(fallBackOnFailure);
    if (entry === undefined) throw new FallBackToGit('there is no such entry');
    return [{ type: typeOf(entry.mode), path }];
  }
  const prefix = isRoot ? Buffer.alloc(0) : path;
  const place = Buffer.concat([revision, Buffer.of(COLON), isRoot ? prefix : directory]);
  const tree = await objects.readObject(place, options).catch(fallBackOnFailure);
  if (tree?.type !== 'tree') throw new FallBackToGit('there is no such directory');
  const entries = await parseTreeInTurns(tree.data, OID_BYTES[objectFormat], options.signal).catch(
    fallBackOnFailure,
  );
  return await mapInTurns(entries, ({ mode, name }) => ({
    type: typeOf(mode),
    path: Buffer.concat([prefix, name]),
  }));
}

function typeOf(mode: number): string {
  const kind = kindOf(mode);
  return kind === 'submodule' ? 'commit' : kind;
}

async function askGit(
  repository: GitRepository,
  { revision, path, literalPathspecs }: DirectoryQuery,
  { signal }: Options,
): Promise<ListedEntry[]> {
  const options = [flag('-z'), flag('--full-name')];
  const command = gitCommand('ls-tree', { options, revisions: [revision], paths: [path], literalPathspecs });
  const entries: ListedEntry[] = [];
  for await (const records of outputLines(repository, command, { signal, delimiter: 0 })) {
    for (const record of records) entries.push(parseRecord(record));
  }
  return entries;
}

/** Parses `<mode> <type> <oid>\t<path>`. */
function parseRecord(record: Buffer): ListedEntry {
  const tab = record.indexOf(TAB);
  const type = record.toString('latin1', 0, Math.max(tab, 0)).split(' ')[1];
  if (tab === -1 || type === undefined) throw new GitalyError('UNKNOWN', 'malformed output of git ls-tree');
  return { type, path: record.subarray(tab + 1) };
}
