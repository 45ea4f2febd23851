import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode, wrap } from '#base/gitaly-error';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { mergeIntoCommit } from '#domain/merge/merge-into-commit';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import type { CommittedBy } from '#domain/signing/commit-signing';
import type { Ident } from '#git/objects/format-ident';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import {
  type UserMergeBranchError,
  UserMergeBranchErrorSchema,
  type UserMergeBranchRequest,
  type UserMergeBranchResponseSchema,
} from '#wire/gen/operations_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { mergeConflictDetail, nextRequest, signatureOfUser } from './merge-parts.ts';
import { accessCheckCase, customHookCase, referenceUpdateCase } from './refusal-details.ts';
import { branchReference, expectedOid, requireFilled, requireUser, resolveReference } from './request-parts.ts';
import { signedBy } from './signed-by.ts';

type Response = MessageInitShape<typeof UserMergeBranchResponseSchema>;

/** Merges a commit into a branch: the first request makes the commit, the second moves the branch to it. */
export async function* userMergeBranch(
  requests: AsyncIterable<UserMergeBranchRequest>,
  context: HandlerContext,
  rooms: OperationRooms,
): AsyncGenerator<Response> {
  const stream = requests[Symbol.asyncIterator]();
  const request = await nextRequest(stream);
  const repository = rooms.storages.open(request.repository);
  const user = requireUser(request.user);
  requireFilled(user.email, 'empty user email');
  requireFilled(user.name, 'empty user name');
  requireFilled(request.branch, 'empty branch name');
  requireFilled(request.commitId, 'empty commit ID');
  requireFilled(request.message, 'empty message');

  const { signal } = context;
  const reference = branchReference(request.branch);
  const oldOid =
    (await expectedOid(repository, request.expectedOldOid, { signal })) ??
    (await resolveReference(repository, reference, signal));
  if (oldOid === undefined) throw new GitalyError('NOT_FOUND', 'reference not found');
  const person = signatureOfUser(user, request.timestamp);
  await using quarantine = await Quarantine.create(repository);
  const people = { author: person, ...signedBy(person, request, context, rooms) };
  const newOid = await merge(request, { repository, quarantine, oldOid, people, signal });
  yield { commitId: newOid };

  const { apply } = await nextRequest(stream);
  if (!apply) throw new GitalyError('FAILED_PRECONDITION', 'merge aborted by client');
  const update = { repository, quarantine, reference, oldOid, newOid };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuse);
  yield { branchUpdate: { commitId: newOid } };
}

interface MergeParts {
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  readonly oldOid: string;
  readonly people: CommittedBy & { readonly author: Ident };
  readonly signal: AbortSignal;
}

/** Makes the merge in the quarantine. */
async function merge(
  request: UserMergeBranchRequest,
  { repository, quarantine, oldOid, people, signal }: MergeParts,
): Promise<string> {
  const { commitId: theirs, message, squash } = request;
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  try {
    const oid = await mergeIntoCommit(workspace, { ours: oldOid, theirs, message, squash, ...people });
    await workspace.finish();
    return oid;
  } catch (error) {
    if (!(error instanceof MergeConflictError)) throw wrap(error, 'merge');
    const value = mergeConflictDetail(error, [oldOid, theirs]);
    throw refused('FAILED_PRECONDITION', `merging commits: ${error.message}`, error, { case: 'mergeConflict', value });
  }
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  switch (refusal?.by) {
    case 'access-check':
      throw refused('PERMISSION_DENIED', refusal.error.message, error, accessCheckCase(refusal.error));
    case 'custom-hook':
      throw refused('PERMISSION_DENIED', refusal.error.message, error, customHookCase(refusal.error));
    case 'git':
      throw refused('FAILED_PRECONDITION', refusal.error.message, error, referenceUpdateCase(refusal.error));
    case undefined:
      throw wrap(error, 'target update');
  }
}

function refused(code: StatusCode, message: string, cause: unknown, error: UserMergeBranchError['error']): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserMergeBranchErrorSchema, { error })] });
}
