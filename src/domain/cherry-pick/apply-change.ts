import { EMPTY_TREE } from '#git/names/object-id';
import type { Commit } from '#git/objects/parse/parse-commit';
import { conflictPaths, MergeConflictError } from '../merge/merge-conflict-error.ts';
import type { MergeWorkspace } from '../merge/merge-workspace.ts';

/** The start has the change already: applying it changes nothing. */
export class ChangesAlreadyAppliedError extends Error {
  override readonly name = 'ChangesAlreadyAppliedError';

  constructor() {
    super('could not apply because the result was empty');
  }
}

/** The commit to which a change is applied. */
type Start = Pick<Commit, 'oid' | 'treeOid'>;

/**
 * Applies the change of a commit; for a merge, the change against its first parent.
 *
 * @returns the id of the tree.
 * @throws {MergeConflictError} {ChangesAlreadyAppliedError}; {Error}
 *   `cherry-pick command: merge-tree: exit status 128` for a commit without parents, which Gitaly
 *   cannot pick.
 */
export async function cherryPick(workspace: MergeWorkspace, start: Start, commit: Commit): Promise<string> {
  const parent = await parentOf(workspace, commit);
  if (parent === undefined) throw new Error('cherry-pick command: merge-tree: exit status 128');
  return await apply(workspace, { start, base: parent.treeOid, theirs: commit }, 'cherry pick: merge');
}

/**
 * Applies the inverse of a commit's change; for a commit without parents, removes all its files.
 * Returns and throws as {@link cherryPick}.
 */
export async function revert(workspace: MergeWorkspace, start: Start, commit: Commit): Promise<string> {
  const nothing = EMPTY_TREE[workspace.writer.objectFormat];
  const theirs = (await parentOf(workspace, commit)) ?? { oid: nothing, treeOid: nothing };
  return await apply(workspace, { start, base: commit.treeOid, theirs }, 'revert');
}

interface Change {
  readonly start: Start;
  readonly base: string;
  readonly theirs: Start;
}

async function apply(
  workspace: MergeWorkspace,
  { start, base, theirs }: Change,
  what: string,
): Promise<string> {
  const labels = { ours: start.oid, theirs: theirs.oid };
  const trees = { base, ours: start.treeOid, theirs: theirs.treeOid, labels };
  const { treeOid, isClean, conflicts } = await workspace.mergeTrees(trees);
  if (!isClean) {
    const message = `${what}: there are conflicting files`;
    throw new MergeConflictError(await conflictPaths(conflicts), { message });
  }
  if (treeOid === start.treeOid) throw new ChangesAlreadyAppliedError();
  return treeOid;
}

/** Returns the first parent of a commit; `undefined` if it has none. */
async function parentOf(
  { objects, signal }: MergeWorkspace,
  { parentOids: [oid] }: Commit,
): Promise<Start | undefined> {
  if (oid === undefined) return undefined;
  const tree = await objects.info(`${oid}^{tree}`, { signal });
  if (tree === undefined) throw new Error('merge-tree: exit status 128');
  return { oid, treeOid: tree.oid };
}
