import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { mergeBase } from '#git/history/graph/merge-base';
import { unpickedCommits } from '#git/merge/unpicked-commits';
import { EMPTY_TREE } from '#git/names/object-id';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Ident } from '#git/objects/write/format-ident';
import { writeCommit } from '../commit/write-commit.ts';
import { conflictPaths, MergeConflictError } from '../merge/merge-conflict-error.ts';
import type { MergeWorkspace } from '../merge/merge-workspace.ts';
import { commitText } from './commit-text.ts';

export interface Rebase {
  /** Revision of the commit to rebase onto. */
  readonly upstream: string;
  /** Revision of the last commit to rebase. */
  readonly branch: string;
  readonly committer: Ident;
  /** Applies `.mailmap` of HEAD to the authors, as Gitaly does. */
  readonly mailmap: boolean;
}

/** A commit could not be applied. */
export class RebaseConflictError extends MergeConflictError {
  constructor(commitOid: string, paths: readonly Buffer[], { upstream, branch }: Rebase) {
    const message = `rebase: commit "${commitOid}": there are conflicting files`;
    super(paths, { sides: [upstream, branch], message });
  }
}

/**
 * Applies the commits of a branch that upstream lacks to upstream, one after the other. Merges,
 * commits whose change upstream has already, and commits that become empty are left out; commits
 * that were empty before are kept. Dates and messages do not change, authors
 * only by `.mailmap`.
 *
 * @returns the id of the new tip, which may be that of the branch or of upstream; new commits are
 *   on disk when the workspace has finished.
 * @throws {GitalyError} INVALID_ARGUMENT `resolving upstream commit: reference not found`;
 *   {RebaseConflictError}; others without a code.
 */
export async function rebase(workspace: MergeWorkspace, request: Rebase): Promise<string> {
  const onto = await resolve(workspace, request.upstream, 'resolving upstream commit');
  const tip = await resolve(workspace, request.branch, 'resolving branch commit');
  const { repository, signal } = workspace;
  const base = await mergeBase(repository, onto, tip, { signal });
  if (base === undefined) throw new Error('get merge-base: exit status 1');
  if (base === onto) return tip;
  if (base === tip) return onto;

  let head = { oid: onto, treeOid: (await readCommit(workspace, onto)).treeOid };
  for (const oid of await unpickedCommits(repository, { onto, tip }, { signal })) {
    head = await applyCommit(workspace, head, await readCommit(workspace, oid, request.mailmap), request);
  }
  return head.oid;
}

interface Head {
  readonly oid: string;
  readonly treeOid: string;
}

async function applyCommit(
  workspace: MergeWorkspace,
  head: Head,
  commit: Commit,
  request: Rebase,
): Promise<Head> {
  const empty = EMPTY_TREE[workspace.writer.objectFormat];
  const [parentOid] = commit.parentOids;
  const base = parentOid === undefined ? empty : (await readCommit(workspace, parentOid)).treeOid;
  const labels = { ours: head.oid, theirs: commit.oid };
  const trees = { base, ours: head.treeOid, theirs: commit.treeOid, labels };
  const { treeOid, isClean, conflicts } = await workspace.mergeTrees(trees);
  if (!isClean) throw new RebaseConflictError(commit.oid, await conflictPaths(conflicts), request);

  const wasEmpty = commit.treeOid === base;
  if (treeOid === head.treeOid && !wasEmpty) return head;
  try {
    const { committer } = request;
    const text = commitText(commit);
    const oid = await writeCommit(workspace.writer, { treeOid, parentOids: [head.oid], committer, ...text });
    return { oid, treeOid };
  } catch (error) {
    throw wrap(error, 'rebase using merge-tree: write commit', 'UNKNOWN');
  }
}

async function resolve({ objects, signal }: MergeWorkspace, revision: string, what: string): Promise<string> {
  const commit = await objects.info(`${revision}^{commit}`, { signal });
  if (commit !== undefined) return commit.oid;
  throw invalidArgument(`${what}: reference not found`);
}

async function readCommit(
  { objects, signal }: MergeWorkspace,
  oid: string,
  mailmap = false,
): Promise<Commit> {
  const commit = await objects.readCommit(oid, { mailmap, signal });
  if (commit === undefined) throw new GitalyError('NOT_FOUND', 'reading commit: object not found');
  return commit;
}
