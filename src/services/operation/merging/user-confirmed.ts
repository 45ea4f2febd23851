import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, messageOf, type StatusCode, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { mergeIntoBranch } from '#domain/merge/merge-into-branch';
import { RebaseConflictError } from '#domain/rebase/rebase';
import { rebaseBranch } from '#domain/rebase/rebase-branch';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { validateRevision } from '#git/names/validate-revision';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { remoteOpener } from '#services/convert/request/open-remote';
import { updateContextOf } from '#services/convert/request/update-context';
import {
  type UserRebaseConfirmableRequest_Header as Header,
  UserMergeBranchErrorSchema,
  UserRebaseConfirmableErrorSchema,
  type UserRebaseConfirmableRequest,
} from '#wire/gen/operations_pb';
import type { Repository as RepositoryMessage, User } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';
import { mergeConflictDetail, refusalCase } from '../error-details.ts';
import { nextRequest, requireFilled, requireUser, signingOf } from '../request-parts.ts';

/**
 * Merges a commit into a branch: the first request makes the commit, the second moves the branch to
 * it.
 */
export const userMergeBranch: Handlers['userMergeBranch'] = async function* (requests, context, deps) {
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
};

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

/**
 * Rebases a branch onto one of another repository: the first request makes the commits, the second
 * moves the branch to them.
 */
export const userRebaseConfirmable: Handlers['userRebaseConfirmable'] = async function* (
  requests,
  context,
  deps,
) {
  const stream = requests[Symbol.asyncIterator]();
  const header = headerOf(await nextRequest(stream));
  const repository = deps.storages.open(header.repository);
  const { user, remoteRepository } = checkFields(header);

  const rebase = {
    branch: header.branch,
    branchOid: header.branchSha,
    upstream: header.remoteBranch,
    openRemote: remoteOpener(remoteRepository, context, deps.remotes),
    user,
    seconds: header.timestamp?.seconds,
    mailmap: usesMailmap(context),
    pushOptions: header.gitPushOptions,
  };
  await using rebased = await rebaseBranch(repository, rebase, context).catch(refuseRebase);
  yield { userRebaseConfirmableResponsePayload: { case: 'rebaseSha', value: rebased.value.newOid } };

  const second = await nextRequest(stream).catch(wrapped('recv'));
  if (!isConfirmed(second)) throw new GitalyError('FAILED_PRECONDITION', 'rebase aborted by client');
  await rebased.apply(updateContextOf(user, context, deps.hooks)).catch(refuseRebasedUpdate);
  yield { userRebaseConfirmableResponsePayload: { case: 'rebaseApplied', value: true } };
};

function headerOf({ userRebaseConfirmableRequestPayload: payload }: UserRebaseConfirmableRequest): Header {
  if (payload.case === 'header') return payload.value;
  throw invalidArgument('empty UserRebaseConfirmableRequest.Header');
}

/** @throws {GitalyError} INVALID_ARGUMENT. */
function checkFields(header: Header): { user: User; remoteRepository: RepositoryMessage } {
  const user = requireUser(header.user, 'empty User');
  requireFilled(header.branch, 'empty Branch');
  requireFilled(header.branchSha, 'empty BranchSha');
  const { remoteRepository } = header;
  if (remoteRepository === undefined) throw invalidArgument('empty RemoteRepository');
  requireFilled(header.remoteBranch, 'empty RemoteBranch');
  if (validateRevision(header.remoteBranch) !== undefined) throw invalidArgument('invalid branch name');
  return { user, remoteRepository };
}

function isConfirmed({
  userRebaseConfirmableRequestPayload: payload,
}: UserRebaseConfirmableRequest): boolean {
  return payload.case === 'apply' && payload.value;
}

function refuseRebase(error: unknown): never {
  if (!(error instanceof RebaseConflictError)) throw error;
  throw refusedRebase('FAILED_PRECONDITION', `rebasing commits: ${error.message}`, error, {
    case: 'rebaseConflict',
    value: mergeConflictDetail(error),
  });
}

function refuseRebasedUpdate(error: unknown): never {
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by !== 'custom-hook') throw wrap(cause, 'updating ref with hooks');
  const value = { errorMessage: refusal.error.message };
  throw refusedRebase('PERMISSION_DENIED', `access check: ${quote(messageOf(cause))}`, cause, {
    case: 'accessCheck',
    value,
  });
}

type RebaseReason = NonNullable<MessageInitShape<typeof UserRebaseConfirmableErrorSchema>['error']>;

function refusedRebase(code: StatusCode, message: string, cause: unknown, error: RebaseReason): GitalyError {
  const details = [create(UserRebaseConfirmableErrorSchema, { error })];
  return new GitalyError(code, message, { cause, details });
}
