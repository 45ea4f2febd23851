import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode, wrap } from '#base/gitaly-error';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { mergeIntoBranch } from '#domain/merge/merge-into-branch';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import type { HandlerContext } from '#rpc/server/handler';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  UserMergeBranchErrorSchema,
  type UserMergeBranchRequest,
  type UserMergeBranchResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationDependencies } from '../dependencies.ts';
import { mergeConflictDetail, refusalCase } from '../error-details.ts';
import { nextRequest, requireFilled, requireUser, signingOf } from '../request-parts.ts';

type Response = MessageInitShape<typeof UserMergeBranchResponseSchema>;

/**
 * Merges a commit into a branch: the first request makes the commit, the second moves the branch to
 * it.
 */
export async function* userMergeBranch(
  requests: AsyncIterable<UserMergeBranchRequest>,
  context: HandlerContext,
  deps: OperationDependencies,
): AsyncGenerator<Response> {
  const stream = requests[Symbol.asyncIterator]();
  const request = await nextRequest(stream);
  const repository = deps.storages.open(request.repository);
  const user = requireUser(request.user);
  requireFilled(user.email, 'empty user email');
  requireFilled(user.name, 'empty user name');
  requireFilled(request.branch, 'empty branch name');
  requireFilled(request.commitId, 'empty commit ID');
  requireFilled(request.message, 'empty message');

  const { branch, commitId: theirs, expectedOldOid, message, squash } = request;
  const seconds = request.timestamp?.seconds;
  const signing = signingOf(request, context, deps);
  const merge = { branch, expectedOldOid, theirs, user, seconds, message, squash, signing };
  const updateContext = updateContextOf(user, context, deps.hooks);
  await using merged = await mergeIntoBranch(repository, merge, updateContext).catch(refuseMerge);
  const { newOid: commitId } = merged.value;
  yield { commitId };

  const { apply } = await nextRequest(stream);
  if (!apply) throw new GitalyError('FAILED_PRECONDITION', 'merge aborted by client');
  await merged.apply(updateContext).catch(refuseUpdate);
  yield { branchUpdate: { commitId } };
}

function refuseMerge(error: unknown): never {
  if (error instanceof ReferenceNotFoundError) throw new GitalyError('NOT_FOUND', error.message);
  if (!(error instanceof MergeConflictError)) throw error;
  throw refused('FAILED_PRECONDITION', `merging commits: ${error.message}`, error, {
    case: 'mergeConflict',
    value: mergeConflictDetail(error),
  });
}

function refuseUpdate(error: unknown): never {
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal === undefined) throw wrap(cause, 'target update');
  const code = refusal.by === 'git' ? 'FAILED_PRECONDITION' : 'PERMISSION_DENIED';
  throw refused(code, refusal.error.message, cause, refusalCase(refusal));
}

type Reason = NonNullable<MessageInitShape<typeof UserMergeBranchErrorSchema>['error']>;

function refused(code: StatusCode, message: string, cause: unknown, error: Reason): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserMergeBranchErrorSchema, { error })] });
}
