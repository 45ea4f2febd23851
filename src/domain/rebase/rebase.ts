import { GitalyError, wrap } from '#base/gitaly-error';
import { EMPTY_TREE } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import { mergeBase } from '#git/merge/merge-base';
import type { Ident } from '#git/objects/format-ident';
import type { Commit } from '#git/objects/parse-commit';
import { writeCommit } from '../commit/write-commit.ts';
import { MergeConflictError } from '../merge/merge-conflict-error.ts';
import type { MergeWorkspace } from '../merge/merge-workspace.ts';
import { textOf } from './commit-text.ts';

export interface Rebase {
  /** Revision of the commit to rebase onto. */
  readonly upstream: string;
  /** Revision of the last commit to take along. */
  readonly branch: string;
  readonly committer: Ident;
}

/** A commit could not be applied. */
export class RebaseConflictError extends MergeConflictError {
  readonly commitOid: string;

  constructor(commitOid: string, { conflicts }: { readonly conflicts: ConstructorParameters<typeof MergeConflictError>[0] }) {
    super(conflicts, `rebase: commit "${commitOid}": there are conflicting files`);
    this.commitOid = commitOid;
  }
}

/**
 * Applies the commits of a branch that upstream lacks to upstream, one after the other. Left out are merges, commits whose change upstream
 * has already, and those that become empty; commits that were empty stay. Authors, dates and messages stay as they are.
 *
 * @returns the id of the new tip, which may be that of the branch or of upstream; new commits are on disk when the workspace has
 *   finished.
 * @throws {GitalyError} INVALID_ARGUMENT `resolving upstream commit: reference not found`; {RebaseConflictError}; others without a code.
 */
export async function rebase(workspace: MergeWorkspace, { upstream, branch, committer }: Rebase): Promise<string> {
  const onto = await resolve(workspace, upstream, 'resolving upstream commit');
  const tip = await resolve(workspace, branch, 'resolving branch commit');
  const { repository, signal } = workspace;
  const base = await mergeBase(repository.git, repository, onto, tip, { signal });
  if (base === undefined) throw new Error('get merge-base: exit status 1');
  if (base === onto) return tip;
  if (base === tip) return onto;

  let head = { oid: onto, treeOid: (await readCommit(workspace, onto)).treeOid };
  for (const oid of await commitsToApply(workspace, onto, tip)) {
    head = await applyCommit(workspace, head, await readCommit(workspace, oid), committer);
  }
  return head.oid;
}

interface Head {
  readonly oid: string;
  readonly treeOid: string;
}

async function applyCommit(workspace: MergeWorkspace, head: Head, commit: Commit, committer: Ident): Promise<Head> {
  const empty = EMPTY_TREE[workspace.writer.objectFormat];
  const [parentOid] = commit.parentOids;
  const base = parentOid === undefined ? empty : (await readCommit(workspace, parentOid)).treeOid;
  const labels = { ours: head.oid, theirs: commit.oid };
  const trees = { base, ours: head.treeOid, theirs: commit.treeOid, labels };
  const { treeOid, isClean, conflicts } = await workspace.mergeTrees(trees);
  if (!isClean) throw new RebaseConflictError(commit.oid, { conflicts });

  const wasEmpty = commit.treeOid === base;
  if (treeOid === head.treeOid && !wasEmpty) return head;
  try {
    const text = textOf(commit);
    const oid = await writeCommit(workspace.writer, { treeOid, parentOids: [head.oid], committer, ...text });
    return { oid, treeOid };
  } catch (error) {
    throw wrap(error, 'rebase using merge-tree: write commit', 'UNKNOWN');
  }
}

/** In the order in which they are applied. */
async function commitsToApply({ repository, signal }: MergeWorkspace, onto: string, tip: string): Promise<string[]> {
  const words = ['--cherry-pick', '--right-only', '--no-merges', '--topo-order', '--reverse'];
  const command = gitCommand('rev-list', { options: words.map(flag), revisions: [`${onto}...${tip}`] });
  const output = await repository.run(command, { signal });
  return output
    .toString('latin1')
    .split('\n')
    .filter((oid) => oid !== '');
}

async function resolve({ objects, signal }: MergeWorkspace, revision: string, what: string): Promise<string> {
  const commit = await objects.info(`${revision}^{commit}`, { signal });
  if (commit !== undefined) return commit.oid;
  throw new GitalyError('INVALID_ARGUMENT', `${what}: reference not found`);
}

async function readCommit({ objects, signal }: MergeWorkspace, oid: string): Promise<Commit> {
  const commit = await objects.readCommit(oid, { mailmap: false, signal });
  if (commit === undefined) throw new GitalyError('NOT_FOUND', 'reading commit: object not found');
  return commit;
}
