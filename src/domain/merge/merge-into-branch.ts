import { wrap, wrapped } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import { committedBy, type UserCommit } from '../commit/commit-signing.ts';
import { signatureOf } from '../commit/signature.ts';
import { type PreparedUpdate, prepareUpdate } from '../ref-update/quarantined-update.ts';
import type { NewValue, UpdateContext } from '../ref-update/update-with-hooks.ts';
import { requireOldOid } from '../revisions/expected-oid.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { MergeConflictError } from './merge-conflict-error.ts';
import { mergeIntoCommit } from './merge-into-commit.ts';
import { MergeWorkspace } from './merge-workspace.ts';

export interface BranchMerge extends UserCommit {
  readonly branch: Uint8Array;
  /** The value that the branch must have; empty for any. */
  readonly expectedOldOid: string;
  /** Any revision of the commit to merge. */
  readonly theirs: string;
  /** Leaves the second parent out. */
  readonly squash: boolean;
}

/** Limit of objects in memory: those of most merges. */
const MAX_HELD_BYTES = 1024 * 1024;

/**
 * Merges a commit into a branch, which moves when the result is applied. Dispose the result. The
 * objects of a small merge that nothing checks are written when it is applied, into the repository.
 *
 * @throws {ReferenceNotFoundError} {MergeConflictError}; {GitalyError} INVALID_ARGUMENT for the
 *   expected value and the user's time zone; `merge: …`.
 */
export async function mergeIntoBranch(
  repository: Repository,
  merge: BranchMerge,
  { hooks, pushRules, signal }: UpdateContext,
): Promise<PreparedUpdate<NewValue>> {
  const { theirs, message, squash } = merge;
  const reference = branchReference(merge.branch);
  const expected = merge.expectedOldOid;
  const oldOid = await requireOldOid(repository, { reference, expected }, { signal });
  const author = signatureOf(merge.user, merge.seconds);
  const people = { author, ...committedBy(author, merge.signing) };
  return await prepareUpdate(repository, async (quarantine) => {
    const target = quarantine.repository;
    await using workspace = new MergeWorkspace({ repository, target, holdBytes: MAX_HELD_BYTES, signal });
    try {
      const newOid = await mergeIntoCommit(workspace, { ours: oldOid, theirs, message, squash, ...people });
      const isHeld =
        !(await hooks.needsObjectCheck(repository, pushRules)) && workspace.writer.redirect(repository);
      if (!isHeld) await workspace.finish();
      const writeObjects = async (): Promise<void> => {
        await workspace.finish().catch(wrapped('merge'));
      };
      const onKept = (): void => workspace.writer.remember(repository);
      return { reference, oldOid, newOid, onKept, ...(isHeld && { writeObjects }) };
    } catch (error) {
      throw error instanceof MergeConflictError ? error : wrap(error, 'merge');
    }
  });
}
