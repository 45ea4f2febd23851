import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { ZERO_OID } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import {
  type UserDeleteBranchError,
  UserDeleteBranchErrorSchema,
  type UserDeleteBranchRequest,
  type UserDeleteBranchResponseSchema,
} from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { accessCheckCase, customHookCase, referenceUpdateCase } from './refusal-details.ts';
import { branchReference, expectedOid, requireFilled, requireUser, resolveReference } from './request-parts.ts';

/** Deletes a branch on behalf of a user. */
export async function userDeleteBranch(
  request: UserDeleteBranchRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserDeleteBranchResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  requireFilled(request.branchName, 'bad request: empty branch name');
  const user = requireUser(request.user, 'bad request: empty user');

  const { signal } = context;
  const reference = branchReference(request.branchName);
  const oldOid =
    (await expectedOid(repository, request.expectedOldOid, { signal })) ??
    (await resolveReference(repository, reference, signal));
  if (oldOid === undefined) throw new GitalyError('FAILED_PRECONDITION', `branch not found: ${quote(request.branchName)}`);
  const newOid = ZERO_OID[repository.git.objectFormat(repository)];
  await updateWithHooks(rooms.hooks, { repository, reference, oldOid, newOid }, updateContextOf(user, context)).catch(refuse);
  return {};
}

function refuse(error: unknown): never {
  if (isRateLimited(error)) throw withCode(error, 'RESOURCE_EXHAUSTED');
  const refusal = refusalOf(error);
  switch (refusal?.by) {
    case 'access-check':
      throw wrap(error, 'deletion denied by access checks', 'PERMISSION_DENIED', detail(accessCheckCase(refusal.error)));
    case 'custom-hook':
      throw wrap(error, 'deletion denied by custom hooks', 'PERMISSION_DENIED', detail(customHookCase(refusal.error)));
    case 'git':
      throw wrap(error, 'reference update failed', 'FAILED_PRECONDITION', detail(referenceUpdateCase(refusal.error)));
    case undefined:
      throw wrap(error, 'deleting reference');
  }
}

function detail(error: UserDeleteBranchError['error']): { details: ErrorDetail[] } {
  return { details: [create(UserDeleteBranchErrorSchema, { error })] };
}
