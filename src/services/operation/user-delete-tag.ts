import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, withCode } from '#base/gitaly-error';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { ZERO_OID } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import type { UserDeleteTagRequest, UserDeleteTagResponseSchema } from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { expectedOid, requireFilled, requireUser, resolveReference, tagReference } from './request-parts.ts';

/** Deletes a tag on behalf of a user. A script's refusal is an answer, not an error. */
export async function userDeleteTag(
  request: UserDeleteTagRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserDeleteTagResponseSchema>> {
  const { tagName } = request;
  const repository = rooms.storages.open(request.repository);
  requireFilled(tagName, 'empty tag name');
  const user = requireUser(request.user);

  const { signal } = context;
  const reference = tagReference(tagName);
  const oldOid =
    (await expectedOid(repository, request.expectedOldOid, { signal })) ??
    (await resolveReference(repository, reference, signal));
  if (oldOid === undefined) throw new GitalyError('FAILED_PRECONDITION', `tag not found: ${Buffer.from(tagName)}`);
  const newOid = ZERO_OID[repository.git.objectFormat(repository)];
  try {
    await updateWithHooks(rooms.hooks, { repository, reference, oldOid, newOid }, updateContextOf(user, context));
    return {};
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal?.by === 'custom-hook') return { preReceiveError: refusal.error.message };
    throw withCode(error, refusal?.by === 'git' ? 'FAILED_PRECONDITION' : 'INTERNAL');
  }
}
