import { create } from '@bufbuild/protobuf';
import { withCode, wrap } from '#base/gitaly-error';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { createBranch } from '#domain/ref-update/create-branch';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { updateContextOf } from '#services/convert/request/update-context';
import { toCommitMessage } from '#services/convert/response/commit';
import {
  UserCreateBranchErrorSchema,
  type UserCreateBranchRequest,
  type UserCreateBranchResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { customHookCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

export async function userCreateBranch(
  request: UserCreateBranchRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserCreateBranchResponseSchema> {
  const { branchName: name, startPoint } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(name, 'empty branch name');
  const user = requireUser(request.user);
  requireFilled(startPoint, 'empty start point');

  const commit = await createBranch(
    repository,
    { name, startPoint, mailmap: usesMailmap(context) },
    updateContextOf(user, context, deps.hooks),
  ).catch(refuse);
  return { branch: { name, targetCommit: toCommitMessage(commit) } };
}

function refuse(error: unknown): never {
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook') {
    const details = [create(UserCreateBranchErrorSchema, { error: customHookCase(refusal.error) })];
    throw wrap(cause, 'creation denied by custom hooks', 'PERMISSION_DENIED', { details });
  }
  if (refusal?.by === 'git') throw withCode(cause, 'FAILED_PRECONDITION');
  throw isRateLimited(cause) ? withCode(cause, 'RESOURCE_EXHAUSTED') : cause;
}
