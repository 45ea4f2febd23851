import { GitalyError, wrapped } from '#base/gitaly-error';
import type { Ident } from '#git/objects/write/format-ident';
import { type NewCommit, writeCommit } from '../commit/write-commit.ts';
import { conflictPaths, MergeConflictError } from './merge-conflict-error.ts';
import type { MergeWorkspace } from './merge-workspace.ts';

export interface MergeIntoCommit {
  /** Full id of the commit that is merged into, the first parent. */
  readonly ours: string;
  /** Any revision of the commit that is merged. */
  readonly theirs: string;
  readonly author: Ident;
  readonly committer: Ident;
  readonly message: Uint8Array;
  /** Leaves the second parent out. */
  readonly squash: boolean;
  readonly sign: NewCommit['sign'];
}

/**
 * Merges two commits and makes a commit of the result, even if one contains the other.
 *
 * @returns its id; it is on disk when the workspace has finished.
 * @throws {MergeConflictError}; an error in Gitaly's words for what is no commit; what
 *   `writeCommit` throws, behind `create commit from tree: `.
 */
export async function mergeIntoCommit(workspace: MergeWorkspace, merge: MergeIntoCommit): Promise<string> {
  const { author, committer, message, squash, sign } = merge;
  const sides = [
    await resolveSide(workspace, merge.ours),
    await resolveSide(workspace, merge.theirs),
  ] as const;
  const { treeOid, isClean, conflicts } = await workspace.mergeCommits(
    sides[0].commitOid,
    sides[1].commitOid,
  );
  if (!isClean) {
    const sides = [merge.ours, merge.theirs];
    throw new MergeConflictError(await conflictPaths(conflicts), { sides });
  }

  const parents = squash ? [sides[0]] : sides;
  // git peels tags where it merges, and refuses them as parents.
  const tag = parents.find(({ oid, commitOid }) => oid !== commitOid);
  if (tag !== undefined) {
    throw new Error(
      `create commit from tree: commit-tree: exit status 128: fatal: ${tag.oid} is not a valid ` +
        `'commit' object\n `,
    );
  }
  const parentOids = parents.map(({ oid }) => oid);
  return await writeCommit(workspace.writer, { treeOid, parentOids, author, committer, message, sign }).catch(
    wrapped('create commit from tree', 'UNKNOWN'),
  );
}

/**
 * Returns the object that a revision names, and the commit that it leads to. Gitaly looks up
 * neither: the error texts are its reaction to git's errors.
 */
async function resolveSide(
  workspace: MergeWorkspace,
  revision: string,
): Promise<{ oid: string; commitOid: string }> {
  if (revision.startsWith('-')) throw new Error('could not parse exit status of merge-tree(1)');
  // The commit is read first: it is read as a whole, so its own id needs no second look-up.
  const [commit, named] = await Promise.all(
    [`${revision}^{commit}`, revision].map((name) => workspace.objects.info(name, workspace)),
  );
  if (named === undefined || commit === undefined) throw notParsed();
  return { oid: named.oid, commitOid: commit.oid };
}

function notParsed(): GitalyError {
  return new GitalyError('UNKNOWN', "couldn't parse merge tree output: ");
}
