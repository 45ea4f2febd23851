import { GitalyError } from '#base/gitaly-error';
import { objectIdProblem, ZERO_OID } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { type UpdateContext, updateWithHooks } from '../ref-update/update-with-hooks.ts';
import { type SignalOption, tipOf } from '../revisions/commit-id-of.ts';
import { branchReference } from '../revisions/reference-names.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { applyPatches } from './apply-patches.ts';

export interface BranchPatches extends UserChange {
  /** Begins at the default branch if it does not exist. */
  readonly branch: Uint8Array;
  /** Mails, in pieces of any size. Authors and dates are in them. */
  readonly mails: AsyncIterable<Uint8Array>;
  /** The value that the branch must have, zeros if it must not exist; empty for any. */
  readonly expectedOldOid: string;
  /** For the vote of the cluster on the working tree; `undefined` without a cluster. */
  readonly worktreeHooks: TransactionHooks | undefined;
}

export interface PatchedBranch {
  readonly newOid: string;
  readonly isNewBranch: boolean;
}

/**
 * Applies mails and moves a branch to the result.
 *
 * @throws {PatchFailedError} {UpdateFailedError}; {GitalyError} INTERNAL `no default branch`,
 *   `expected old object …`; as `applyPatches` and `signatureOf`.
 */
export async function applyToBranch(
  repository: Repository,
  patches: BranchPatches,
  context: UpdateContext,
): Promise<PatchedBranch> {
  const { mails, worktreeHooks: hooks } = patches;
  const { signal } = context;
  const reference = branchReference(patches.branch);
  const tip = await tipOf(repository, reference, { signal });
  const parentOid = tip ?? (await defaultCommit(repository, { signal }));
  const committer = signatureOf(patches.user, patches.seconds);
  const newOid = await applyPatches(repository, { parentOid, mails, committer, hooks, signal });
  const expected = await expectedOid(repository, patches.expectedOldOid, { signal });
  const oldOid = expected ?? tip ?? ZERO_OID[repository.objectFormat];
  await updateWithHooks({ repository, isUnquarantined: true, reference, oldOid, newOid }, context);
  return { newOid, isNewBranch: tip === undefined };
}

async function defaultCommit(repository: Repository, options: SignalOption): Promise<string> {
  const branch = await repository.refs.defaultBranch(options);
  const oid = branch && (await tipOf(repository, branch, options));
  if (oid === undefined) throw new GitalyError('INTERNAL', 'no default branch');
  return oid;
}

/**
 * Returns the expected id, like `expectedOid` of `revisions/`, with the texts and the code of
 * UserApplyPatch.
 */
async function expectedOid(
  repository: Repository,
  oid: string,
  options: SignalOption,
): Promise<string | undefined> {
  if (oid === '') return undefined;
  const objectFormat = repository.objectFormat;
  const problem = objectIdProblem(oid, objectFormat);
  if (problem !== undefined)
    throw new GitalyError('INTERNAL', `expected old object id not expected SHA format: ${problem}`);
  if (oid === ZERO_OID[objectFormat] || (await repository.objects.info(oid, options)) !== undefined)
    return oid;
  throw new GitalyError('INTERNAL', 'expected old object cannot be resolved: reference not found');
}
