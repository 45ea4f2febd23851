import { GitalyError, withCode } from '#base/gitaly-error';
import { deleteWithHooks } from '#domain/ref-update/delete-with-hooks';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { tagReference } from '#domain/revisions/reference-names';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import type { UserDeleteTagRequest, UserDeleteTagResponseSchema } from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/** Deletes a tag on behalf of a user. A script's refusal is a response, not an error. */
export async function userDeleteTag(
  request: UserDeleteTagRequest,
  context: HandlerContext,
  deps: OperationDependencies,
): ResponseOf<typeof UserDeleteTagResponseSchema> {
  const { tagName } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(tagName, 'empty tag name');
  const user = requireUser(request.user);

  try {
    const tag = { reference: tagReference(tagName), expected: request.expectedOldOid };
    await deleteWithHooks(repository, tag, updateContextOf(user, context, deps.hooks));
    return {};
  } catch (error) {
    if (error instanceof ReferenceNotFoundError)
      throw new GitalyError('FAILED_PRECONDITION', `tag not found: ${Buffer.from(tagName)}`);
    if (!(error instanceof UpdateFailedError)) throw error;
    const { refusal, cause } = error;
    if (refusal?.by === 'custom-hook') return { preReceiveError: refusal.error.message };
    throw withCode(cause, refusal?.by === 'git' ? 'FAILED_PRECONDITION' : 'INTERNAL');
  }
}
