import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { emptyQuarantine } from '#domain/ref-update/empty-quarantine';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { objectIdProblem } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { UserUpdateBranchRequest, UserUpdateBranchResponseSchema } from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { branchReference, requireFilled, requireUser } from './request-parts.ts';

/** Moves a branch on behalf of a user, forwards or not; zeros create and delete. A script's refusal is an answer, not an error. */
export async function userUpdateBranch(
  request: UserUpdateBranchRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserUpdateBranchResponseSchema>> {
  const { branchName } = request;
  const repository = rooms.storages.open(request.repository);
  const user = requireUser(request.user);
  requireFilled(branchName, 'empty branch name');
  requireFilled(request.oldrev, 'empty oldrev');
  requireFilled(request.newrev, 'empty newrev');
  const newOid = parseRevision(request.newrev, 'newrev', repository);
  const oldOid = parseRevision(request.oldrev, 'oldrev', repository);

  await using quarantine = await emptyQuarantine(rooms.hooks, repository);
  try {
    const reference = branchReference(branchName);
    await updateWithHooks(rooms.hooks, { repository, quarantine, reference, oldOid, newOid }, updateContextOf(user, context));
    return {};
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal?.by === 'custom-hook') return { preReceiveError: refusal.error.message };
    const message = `Could not update ${Buffer.from(branchName)}. Please refresh and try again.`;
    throw new GitalyError('FAILED_PRECONDITION', message, { cause: error });
  }
}

function parseRevision(revision: Uint8Array, field: string, repository: Repository): string {
  const problem = objectIdProblem(revision, repository.git.objectFormat(repository));
  if (problem !== undefined) throw new GitalyError('INTERNAL', `could not parse ${field}: ${problem}`);
  return Buffer.from(revision).toString();
}
