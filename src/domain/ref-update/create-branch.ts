import { GitalyError } from '#base/gitaly-error';
import { ZERO_OID } from '#git/names/object-id';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Repository } from '#storage/repository';
import { branchReference } from '../revisions/reference-names.ts';
import { moveReference } from './move-reference.ts';
import type { UpdateContext } from './update-with-hooks.ts';

export interface NewBranch {
  readonly name: Uint8Array;
  /** Any revision of a commit. */
  readonly startPoint: Uint8Array;
  /** True to apply `.mailmap` to the returned commit. */
  readonly mailmap: boolean;
}

/**
 * Creates a branch on behalf of a user.
 *
 * @returns the commit that it begins with.
 * @throws {GitalyError} FAILED_PRECONDITION `revspec '…' not found`; {UpdateFailedError}.
 */
export async function createBranch(
  repository: Repository,
  { name, startPoint, mailmap }: NewBranch,
  context: UpdateContext,
): Promise<Commit> {
  const { signal } = context;
  const commit = startPoint.includes(0)
    ? undefined
    : await repository.objects.readCommit(startPoint, { signal, mailmap });
  if (commit === undefined) {
    throw new GitalyError('FAILED_PRECONDITION', `revspec '${Buffer.from(startPoint)}' not found`);
  }
  const oldOid = ZERO_OID[repository.objectFormat];
  const reference = branchReference(name);
  await moveReference({ repository, reference, oldOid, newOid: commit.oid }, context);
  return commit;
}
