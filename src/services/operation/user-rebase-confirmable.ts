import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf, type StatusCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { RebaseConflictError, rebase } from '#domain/rebase/rebase';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { objectIdProblem } from '#git/objects/object-id';
import { validateRevision } from '#git/refs/validate-revision';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import { AccessCheckErrorSchema } from '#wire/gen/errors_pb';
import {
  type UserRebaseConfirmableRequest_Header as Header,
  type UserRebaseConfirmableError,
  UserRebaseConfirmableErrorSchema,
  type UserRebaseConfirmableRequest,
  type UserRebaseConfirmableResponseSchema,
} from '#wire/gen/operations_pb';
import type { Repository as RepositoryMessage, User } from '#wire/gen/shared_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { mergeConflictDetail, nextRequest, signatureOfUser } from './merge-parts.ts';
import { findStart } from './pick-start.ts';
import { branchReference, requireFilled, requireUser } from './request-parts.ts';

type Response = MessageInitShape<typeof UserRebaseConfirmableResponseSchema>;

/** Rebases a branch onto one of another repository: the first request makes the commits, the second moves the branch to them. */
export async function* userRebaseConfirmable(
  requests: AsyncIterable<UserRebaseConfirmableRequest>,
  context: HandlerContext,
  rooms: OperationRooms,
): AsyncGenerator<Response> {
  const stream = requests[Symbol.asyncIterator]();
  const header = headerOf(await nextRequest(stream));
  const repository = rooms.storages.open(header.repository);
  const { user, remoteRepository } = checkFields(header);
  const problem = objectIdProblem(header.branchSha, repository.git.objectFormat(repository));
  if (problem !== undefined) throw new GitalyError('NOT_FOUND', problem);

  await using quarantine = await Quarantine.create(repository);
  const newOid = await rebaseInto(quarantine);
  yield { userRebaseConfirmableResponsePayload: { case: 'rebaseSha', value: newOid } };

  const second = await nextRequest(stream).catch((error: unknown) => {
    throw wrap(error, 'recv');
  });
  if (!isConfirmed(second)) throw new GitalyError('FAILED_PRECONDITION', 'rebase aborted by client');
  const { branchSha: oldOid, gitPushOptions: pushOptions } = header;
  const update = { repository, quarantine, reference: branchReference(header.branch), oldOid, newOid, pushOptions };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuse);
  yield { userRebaseConfirmableResponsePayload: { case: 'rebaseApplied', value: true } };

  /** Fetches what the branch is rebased onto, and rebases. */
  async function rebaseInto(target: Quarantine): Promise<string> {
    const from = { repository, quarantine: target, revision: header.remoteBranch, startRepository: remoteRepository };
    const start = await findStart(from, context, rooms);
    const committer = signatureOfUser(user, header.timestamp);
    const { signal } = context;
    await using workspace = new MergeWorkspace({ repository: start.repository, target: target.repository, signal });
    const tip = await rebase(workspace, { upstream: start.oid, branch: header.branchSha, committer }).catch((error: unknown) => {
      if (!(error instanceof RebaseConflictError)) throw wrap(error, 'rebasing commits');
      const value = mergeConflictDetail(error, [start.oid, header.branchSha]);
      throw failed('FAILED_PRECONDITION', `rebasing commits: ${error.message}`, error, { case: 'rebaseConflict', value });
    });
    await workspace.finish();
    return tip;
  }
}

function headerOf({ userRebaseConfirmableRequestPayload: payload }: UserRebaseConfirmableRequest): Header {
  if (payload.case === 'header') return payload.value;
  throw new GitalyError('INVALID_ARGUMENT', 'empty UserRebaseConfirmableRequest.Header');
}

/** @throws {GitalyError} INVALID_ARGUMENT. */
function checkFields(header: Header): { user: User; remoteRepository: RepositoryMessage } {
  const user = requireUser(header.user, 'empty User');
  requireFilled(header.branch, 'empty Branch');
  requireFilled(header.branchSha, 'empty BranchSha');
  const { remoteRepository } = header;
  if (remoteRepository === undefined) throw new GitalyError('INVALID_ARGUMENT', 'empty RemoteRepository');
  requireFilled(header.remoteBranch, 'empty RemoteBranch');
  if (validateRevision(header.remoteBranch) !== undefined) throw new GitalyError('INVALID_ARGUMENT', 'invalid branch name');
  return { user, remoteRepository };
}

function isConfirmed({ userRebaseConfirmableRequestPayload: payload }: UserRebaseConfirmableRequest): boolean {
  return payload.case === 'apply' && payload.value;
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by !== 'custom-hook') throw wrap(error, 'updating ref with hooks');
  const value = create(AccessCheckErrorSchema, { errorMessage: refusal.error.message });
  throw failed('PERMISSION_DENIED', `access check: ${quote(messageOf(error))}`, error, { case: 'accessCheck', value });
}

function failed(code: StatusCode, message: string, cause: unknown, error: UserRebaseConfirmableError['error']): GitalyError {
  return new GitalyError(code, message, { cause, details: [create(UserRebaseConfirmableErrorSchema, { error })] });
}
