import { joined } from '../command/git-command.ts';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { EMPTY_TREE } from '../names/object-id.ts';
import type { GitRepository } from '../repository.ts';
import { requireNotGrafted } from './graph/commit-nodes.ts';
import { requirePlainRevisions, resolveCommits } from './graph/plain-revision.ts';
import { lastCommits } from './last-commits.ts';
import { loggedCommits } from './log.ts';
import { isLiteralPath } from './path-changes.ts';

export interface LastCommitQuery {
  readonly revision: Buffer;
  /** A path or pattern, relative to the root, which is `.`. */
  readonly path: Uint8Array;
  readonly literalPathspecs: boolean;
}

interface LastCommitOptions {
  readonly signal?: AbortSignal | undefined;
}

const SLASH = 0x2f;
const ROOT = Buffer.from('.');
/** Limit of commits that are looked at: it takes about as long as starting git. */
const MAX_COMMITS = 96;
/** The same where the commit-graph has filters, by which most of the older ones are passed. */
const MAX_WITHOUT_FILTERS = 8;
/** Limit of the parents of a commit, all of which are read. */
const MAX_PARENTS = 16;

/**
 * Returns the newest commit that changed a path, as `git log -1` finds it; `undefined` if there is
 * none. A recent change of a path that exists is found without starting git.
 *
 * @throws {GitExitError} when git fails, for example on an unknown revision.
 */
export async function lastCommit(
  repository: GitRepository,
  query: LastCommitQuery,
  options: LastCommitOptions = {},
): Promise<string | undefined> {
  return await repository.inProcess.attempt(
    'last_commit',
    () => findNear(repository, query, options),
    () => askGit(repository, query, options),
  );
}

async function findNear(
  repository: GitRepository,
  { revision, path: bytes, literalPathspecs }: LastCommitQuery,
  options: LastCommitOptions,
): Promise<string> {
  const name = revision.toString('latin1');
  requirePlainRevisions([name], repository.objectFormat);
  const path = Buffer.from(bytes);
  if (!isLiteralPath(path, { literalPathspecs })) throw new FallBackToGit('an unusual path');
  const [commit] = await resolveCommits(repository.objects, [name], options);
  if (commit === undefined) throw new FallBackToGit('there is no such commit');
  if (path.equals(ROOT)) return await lastOfRoot(repository, commit);
  const slash = path.lastIndexOf(SLASH);
  const entry = path.subarray(slash + 1);
  const directory = path.subarray(0, Math.max(slash, 0));
  const maxCommits = repository.commits.graph?.hasFilters === true ? MAX_WITHOUT_FILTERS : MAX_COMMITS;
  const place = { commit, directory, names: [entry], maxCommits };
  const found = await lastCommits(repository, place, options).catch(fallBackOnFailure);
  const oid = found.get(entry.toString('latin1'));
  if (oid === undefined) throw new FallBackToGit('there is no such entry');
  return oid;
}

/** Follows the first parent that has the same files, as git does. */
async function lastOfRoot(repository: GitRepository, commit: string): Promise<string> {
  const nodes = requireNotGrafted(repository.commits);
  const read = async (oid: string) => nodes.known(oid) ?? (await nodes.read(oid)) ?? unreadable();
  let node = await read(commit);
  for (let walked = 0; walked < MAX_COMMITS; walked++) {
    const { treeOid } = node;
    if (node.parents.length > MAX_PARENTS) throw new FallBackToGit('a commit has very many parents');
    const parents = await Promise.all(node.parents.map(read));
    const same = parents.find((parent) => parent.treeOid === treeOid);
    if (same === undefined && parents.length === 0 && treeOid === EMPTY_TREE[repository.objectFormat])
      throw new FallBackToGit('no commit has files');
    if (same === undefined) return node.oid;
    node = same;
  }
  throw new FallBackToGit('the last change is long ago');
}

function unreadable(): never {
  throw new FallBackToGit('a commit cannot be read');
}

async function askGit(
  repository: GitRepository,
  { revision, path, literalPathspecs }: LastCommitQuery,
  options: LastCommitOptions,
): Promise<string | undefined> {
  const query = {
    options: [joined('--max-count', 1)],
    revisions: [revision],
    paths: [path],
    literalPathspecs,
  };
  for await (const [first] of loggedCommits(repository, query, options)) {
    if (first !== undefined) return first.oid;
  }
  return undefined;
}
