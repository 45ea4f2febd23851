import { create } from '@bufbuild/protobuf';
import { GitalyError, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { deleteWithHooks } from '#domain/ref-update/delete-with-hooks';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { branchReference } from '#domain/revisions/reference-names';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  UserDeleteBranchErrorSchema,
  type UserDeleteBranchRequest,
  type UserDeleteBranchResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { refusalCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

export async function userDeleteBranch(
  request: UserDeleteBranchRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserDeleteBranchResponseSchema> {
  const repository = deps.storages.open(request.repository);
  requireFilled(request.branchName, 'bad request: empty branch name');
  const user = requireUser(request.user, 'bad request: empty user');

  const reference = branchReference(request.branchName);
  const branch = { reference, expected: request.expectedOldOid };
  await deleteWithHooks(repository, branch, updateContextOf(user, context, deps.hooks)).catch(
    (error: unknown) => refuse(error, request.branchName),
  );
  return {};
}

const REFUSALS = {
  'access-check': ['deletion denied by access checks', 'PERMISSION_DENIED'],
  'custom-hook': ['deletion denied by custom hooks', 'PERMISSION_DENIED'],
  git: ['reference update failed', 'FAILED_PRECONDITION'],
} as const;

function refuse(error: unknown, branchName: Uint8Array): never {
  if (error instanceof ReferenceNotFoundError)
    throw new GitalyError('FAILED_PRECONDITION', `branch not found: ${quote(branchName)}`);
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (isRateLimited(cause)) throw withCode(cause, 'RESOURCE_EXHAUSTED');
  if (refusal === undefined) throw wrap(cause, 'deleting reference');
  const [text, code] = REFUSALS[refusal.by];
  const details = [create(UserDeleteBranchErrorSchema, { error: refusalCase(refusal) })];
  throw wrap(cause, text, code, { details });
}
