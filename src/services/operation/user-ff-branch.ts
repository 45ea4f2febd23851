import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { ancestry } from '#domain/merge/ancestry';
import { emptyQuarantine } from '#domain/ref-update/empty-quarantine';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { objectIdProblem } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import { UserFFBranchErrorSchema, type UserFFBranchRequest, type UserFFBranchResponseSchema } from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { customHookCase } from './refusal-details.ts';
import { branchReference, expectedOid, requireFilled, requireUser, resolveReference } from './request-parts.ts';

/** Moves a branch forward to a commit on behalf of a user. */
export async function userFFBranch(
  request: UserFFBranchRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserFFBranchResponseSchema>> {
  const { commitId } = request;
  const repository = rooms.storages.open(request.repository);
  requireFilled(request.branch, 'empty branch name');
  const user = requireUser(request.user);
  requireFilled(commitId, 'empty commit id');

  const { signal } = context;
  const reference = branchReference(request.branch);
  const oldOid =
    (await expectedOid(repository, request.expectedOldOid, { signal })) ??
    (await resolveReference(repository, reference, signal));
  if (oldOid === undefined) throw new GitalyError('INVALID_ARGUMENT', 'reference not found');
  const problem = objectIdProblem(commitId, repository.git.objectFormat(repository));
  if (problem !== undefined) throw new GitalyError('INVALID_ARGUMENT', `cannot parse commit ID: ${problem}`);
  const isForward = await ancestry(repository, { ancestor: oldOid, descendant: commitId }, signal).catch((error: unknown) => {
    throw wrap(error, 'checking for ancestry');
  });
  if (!isForward) throw new GitalyError('FAILED_PRECONDITION', 'not fast forward');

  await using quarantine = await emptyQuarantine(rooms.hooks, repository);
  const update = { repository, quarantine, reference, oldOid, newOid: commitId };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuse);
  return { branchUpdate: { commitId } };
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by === 'custom-hook') {
    const details = [create(UserFFBranchErrorSchema, { error: customHookCase(refusal.error) })];
    throw new GitalyError('PERMISSION_DENIED', refusal.error.message, { cause: error, details });
  }
  if (refusal?.by === 'git') {
    // The name of the reference stays out, as with Gitaly.
    const { oldOid, newOid } = refusal.error;
    const details = [create(UserFFBranchErrorSchema, { error: { case: 'referenceUpdate', value: { oldOid, newOid } } })];
    throw wrap(error, 'update reference with hooks', 'FAILED_PRECONDITION', { details });
  }
  throw wrap(error, 'updating ref with hooks');
}
