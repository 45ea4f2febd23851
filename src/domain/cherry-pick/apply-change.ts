import { EMPTY_TREE } from '#git/command/config';
import type { Commit } from '#git/objects/parse-commit';
import { MergeConflictError } from '../merge/merge-conflict-error.ts';
import type { MergeWorkspace } from '../merge/merge-workspace.ts';

/** The change of a commit has been made already: nothing is left of it. */
export class ChangesAlreadyAppliedError extends Error {
  override readonly name = 'ChangesAlreadyAppliedError';

  constructor() {
    super('could not apply because the result was empty');
  }
}

/** The commit that a change is applied to. */
type Start = Pick<Commit, 'oid' | 'treeOid'>;

/**
 * Applies the change of a commit, of a merge that against its first parent.
 *
 * @returns the id of the tree.
 * @throws {MergeConflictError} {ChangesAlreadyAppliedError}; {Error} `cherry-pick command: merge-tree: exit status 128` for a commit without
 *   parents, which Gitaly cannot pick.
 */
export async function cherryPick(workspace: MergeWorkspace, start: Start, commit: Commit): Promise<string> {
  const [parentOid] = commit.parentOids;
  if (parentOid === undefined) throw new Error('cherry-pick command: merge-tree: exit status 128');
  const base = await treeOf(workspace, parentOid);
  return await apply(workspace, { base, ours: start.treeOid, theirs: commit.treeOid }, 'cherry pick: merge');
}

/** Applies the inverse of a commit's change, of the first commit that of adding all its files. Returns and throws as {@link cherryPick}. */
export async function revert(workspace: MergeWorkspace, start: Start, commit: Commit): Promise<string> {
  const [parentOid] = commit.parentOids;
  const theirs = parentOid === undefined ? EMPTY_TREE[workspace.writer.objectFormat] : await treeOf(workspace, parentOid);
  return await apply(workspace, { base: commit.treeOid, ours: start.treeOid, theirs }, 'revert');
}

async function apply(
  workspace: MergeWorkspace,
  trees: { readonly base: string; readonly ours: string; readonly theirs: string },
  what: string,
): Promise<string> {
  const { treeOid, isClean, conflicts } = await workspace.mergeTrees(trees);
  if (!isClean) throw new MergeConflictError(conflicts, `${what}: there are conflicting files`);
  if (treeOid === trees.ours) throw new ChangesAlreadyAppliedError();
  return treeOid;
}

async function treeOf({ objects, signal }: MergeWorkspace, commitOid: string): Promise<string> {
  const tree = await objects.info(`${commitOid}^{tree}`, { signal });
  if (tree === undefined) throw new Error('merge-tree: exit status 128');
  return tree.oid;
}
