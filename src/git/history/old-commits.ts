import { mapAhead } from '#base/map-ahead';
import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand, joined } from '../command/git-command.ts';
import { outputLines } from '../command/output-lines.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { loggedCommits } from './log.ts';

/** A path, and the commit to begin with. */
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

/** Processes that look for commits at once. */
const MAX_PROCESSES = 4;
/** What one `last-modified` is told of: a command line has an end. */
const MAX_PATHS = 500;
const MAX_PATH_BYTES = 64 * 1024;
const NUL = 0;
const TAB = 0x09;

/**
 * The newest commit that changed each of some paths of one directory, by git, in any order; a path without a history is left out. Since git 2.52
 * it is one walk for all paths with the same start, else one for each path.
 *
 * @throws {GitExitError} `exit status 128` when a commit or a tree is missing; {GitalyError} CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export async function* oldCommits(
  git: Git,
  repository: GitRepository,
  old: readonly OldPath[],
  options: OldCommitsOptions,
): AsyncGenerator<OldCommit> {
  let left = old;
  if (git.capabilities.lastModified) {
    const walks = mapAhead(groupsOf(old), MAX_PROCESSES, (group) => lastModified(git, repository, group, options));
    const found = (await Array.fromAsync(walks)).flat();
    yield* found;
    const known = new Set(found.map(({ path }) => path.toString('latin1')));
    left = old.filter(({ path }) => !known.has(path.toString('latin1')));
  }
  for await (const found of mapAhead(left, MAX_PROCESSES, (path) => lastLogged(git, repository, path, options))) {
    if (found !== undefined) yield found;
  }
}

/** Paths with the same start, as many as fit on a command line. */
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
 * Those that `git last-modified` finds, as `<oid>\t<path>\0`. It is young: in some histories with merges git 2.53 comes upon a bug of its own and
 * aborts. Then there are none.
 */
async function lastModified(
  git: Git,
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
    for await (const lines of outputLines(git, repository, command, { signal, delimiter: NUL })) {
      for (const line of lines) {
        const tab = line.indexOf(TAB);
        const path = line.subarray(tab + 1);
        // It tells of the directory itself, too.
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
  git: Git,
  repository: GitRepository,
  { start, path }: OldPath,
  options: OldCommitsOptions,
): Promise<OldCommit | undefined> {
  const query = { options: [joined('--max-count', 1)], revisions: [start], paths: [path], literalPathspecs: true };
  const [batch] = await Array.fromAsync(loggedCommits(git, repository, query, options));
  const oid = batch?.[0]?.oid;
  return oid === undefined ? undefined : { path, oid };
}
