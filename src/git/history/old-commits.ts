import { mapAhead } from '#base/streams/map-ahead';
import { flag, gitCommand, joined } from '../command/git-command.ts';
import { outputLines } from '../command/output.ts';
import { GitExitError } from '../command/process/exit-error.ts';
import type { GitRepository } from '../repository.ts';
import { loggedCommits } from './log.ts';

/** A path and the start commit of its search. */
export interface OldPath {
  readonly start: string;
  readonly path: Buffer;
}

/** The newest commit that changed a path. */
export interface OldCommit {
  readonly path: Buffer;
  readonly oid: string;
}

interface OldCommitsOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of concurrent processes. */
const MAX_PROCESSES = 4;
/** Limit of paths for one `last-modified`, because the length of a command line is limited. */
const MAX_PATHS = 500;
const MAX_PATH_BYTES = 64 * 1024;
const NUL = 0;
const TAB = 0x09;

/**
 * Yields the newest commit that changed each of several paths of one directory, found by git, in
 * any order; a path without a history is omitted. From git 2.52 on it takes one walk for all paths
 * with the same start, otherwise one for each path.
 *
 * @throws {GitExitError} `exit status 128` when a commit or a tree is missing; {GitalyError}
 *   CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export async function* oldCommits(
  repository: GitRepository,
  old: readonly OldPath[],
  options: OldCommitsOptions,
): AsyncGenerator<OldCommit> {
  let left = old;
  if (repository.git.capabilities.lastModified) {
    const walks = mapAhead(groupsOf(old), MAX_PROCESSES, (group) => lastModified(repository, group, options));
    const found = (await Array.fromAsync(walks)).flat();
    yield* found;
    const known = new Set(found.map(({ path }) => path.toString('latin1')));
    left = old.filter(({ path }) => !known.has(path.toString('latin1')));
  }
  for await (const found of mapAhead(left, MAX_PROCESSES, (path) => lastLogged(repository, path, options))) {
    if (found !== undefined) yield found;
  }
}

/** Groups paths with the same start, as many as fit on a command line. */
function groupsOf(old: readonly OldPath[]): (readonly OldPath[])[] {
  const groups: OldPath[][] = [];
  for (const each of Map.groupBy(old, ({ start }) => start).values()) {
    let [group, bytes]: [OldPath[], number] = [[], 0];
    for (const path of each) {
      if (group.length === 0 || group.length === MAX_PATHS || bytes + path.path.length > MAX_PATH_BYTES) {
        [group, bytes] = [[], 0];
        groups.push(group);
      }
      group.push(path);
      bytes += path.path.length;
    }
  }
  return groups;
}

/**
 * Yields the results of `git last-modified`, as `<oid>\t<path>\0`. In some histories with merges
 * git 2.53 aborts because of a bug; then there are none.
 */
async function lastModified(
  repository: GitRepository,
  group: readonly OldPath[],
  { signal }: OldCommitsOptions,
): Promise<OldCommit[]> {
  const command = gitCommand('last-modified', {
    options: [flag('-z'), flag('-t'), joined('--max-depth', 0)],
    revisions: group.slice(0, 1).map(({ start }) => start),
    paths: group.map(({ path }) => path),
    literalPathspecs: true,
  });
  const wanted = new Set(group.map(({ path }) => path.toString('latin1')));
  const found: OldCommit[] = [];
  try {
    for await (const lines of outputLines(repository, command, { signal, delimiter: NUL })) {
      for (const line of lines) {
        const tab = line.indexOf(TAB);
        const path = line.subarray(tab + 1);
        // It lists the directory itself, too.
        if (wanted.has(path.toString('latin1'))) found.push({ path, oid: line.toString('latin1', 0, tab) });
      }
    }
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof GitExitError)) throw error;
    return [];
  }
  return found;
}

async function lastLogged(
  repository: GitRepository,
  { start, path }: OldPath,
  options: OldCommitsOptions,
): Promise<OldCommit | undefined> {
  const query = {
    options: [joined('--max-count', 1)],
    revisions: [start],
    paths: [path],
    literalPathspecs: true,
  };
  const [batch] = await Array.fromAsync(loggedCommits(repository, query, options));
  const oid = batch?.[0]?.oid;
  return oid === undefined ? undefined : { path, oid };
}
