import { GitalyError } from '#base/gitaly-error';
import { moveReference } from '#domain/ref-update/move-reference';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { branchReference } from '#domain/revisions/reference-names';
import { objectIdProblem } from '#git/names/object-id';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import type { Repository } from '#storage/repository';
import type { UserUpdateBranchRequest, UserUpdateBranchResponseSchema } from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/**
 * Moves a branch on behalf of a user, forwards or not; zeros create and delete. A script's refusal
 * is a response, not an error.
 */
export async function userUpdateBranch(
  request: UserUpdateBranchRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserUpdateBranchResponseSchema> {
  const { branchName } = request;
  const repository = deps.storages.open(request.repository);
  const user = requireUser(request.user);
  requireFilled(branchName, 'empty branch name');
  requireFilled(request.oldrev, 'empty oldrev');
  requireFilled(request.newrev, 'empty newrev');
  const newOid = parseRevision(request.newrev, 'newrev', repository);
  const oldOid = parseRevision(request.oldrev, 'oldrev', repository);

  const update = { repository, reference: branchReference(branchName), oldOid, newOid };
  try {
    await moveReference(update, updateContextOf(user, context, deps.hooks));
    return {};
  } catch (error) {
    if (!(error instanceof UpdateFailedError)) throw error;
    if (error.refusal?.by === 'custom-hook') return { preReceiveError: error.refusal.error.message };
    const message = `Could not update ${Buffer.from(branchName)}. Please refresh and try again.`;
    throw new GitalyError('FAILED_PRECONDITION', message, { cause: error.cause });
  }
}

function parseRevision(revision: Uint8Array, field: string, repository: Repository): string {
  const problem = objectIdProblem(revision, repository.objectFormat);
  if (problem !== undefined) throw new GitalyError('INTERNAL', `could not parse ${field}: ${problem}`);
  return Buffer.from(revision).toString();
}
