import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { objectIdProblem } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { ancestry } from '../history/ancestry.ts';
import { requireOldOid } from '../revisions/expected-oid.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { moveReference } from './move-reference.ts';
import type { UpdateContext } from './update-with-hooks.ts';

export interface FastForward {
  readonly branch: Uint8Array;
  /** The commit to move it to, as the client sent it. */
  readonly commitOid: string;
  /** The value that the branch must have; empty for any. */
  readonly expectedOldOid: string;
}

/**
 * Moves a branch forward to a commit on behalf of a user.
 *
 * @throws {ReferenceNotFoundError} {UpdateFailedError}; {GitalyError} INVALID_ARGUMENT
 *   `cannot parse commit ID: …`, FAILED_PRECONDITION `not fast forward`,
 *   `checking for ancestry: …`.
 */
export async function fastForward(
  repository: Repository,
  { branch, commitOid, expectedOldOid }: FastForward,
  context: UpdateContext,
): Promise<void> {
  const reference = branchReference(branch);
  const oldOid = await requireOldOid(repository, { reference, expected: expectedOldOid }, context);
  const problem = objectIdProblem(commitOid, repository.objectFormat);
  if (problem !== undefined) throw invalidArgument(`cannot parse commit ID: ${problem}`);
  const question = { ancestor: oldOid, descendant: commitOid };
  const isForward = await ancestry(repository, question, context.signal).catch(
    wrapped('checking for ancestry'),
  );
  if (!isForward) throw new GitalyError('FAILED_PRECONDITION', 'not fast forward');
  await moveReference({ repository, reference, oldOid, newOid: commitOid }, context);
}
