import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { createBranch } from '#domain/ref-update/create-branch';
import { deleteWithHooks } from '#domain/ref-update/delete-with-hooks';
import { fastForward } from '#domain/ref-update/fast-forward';
import { moveReference } from '#domain/ref-update/move-reference';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { branchReference } from '#domain/revisions/reference-names';
import { objectIdProblem } from '#git/names/object-id';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { updateContextOf } from '#services/convert/request/update-context';
import { toCommitMessage } from '#services/convert/response/commit';
import type { Repository } from '#storage/repository';
import {
  UserCreateBranchErrorSchema,
  UserDeleteBranchErrorSchema,
  UserFFBranchErrorSchema,
} from '#wire/gen/operations_pb';
import type { Handlers } from '../dependencies.ts';
import { customHookCase, refusalCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

export const userCreateBranch: Handlers['userCreateBranch'] = async (request, context, deps) => {
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
};

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

export const userDeleteBranch: Handlers['userDeleteBranch'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  requireFilled(request.branchName, 'bad request: empty branch name');
  const user = requireUser(request.user, 'bad request: empty user');

  const reference = branchReference(request.branchName);
  const branch = { reference, expected: request.expectedOldOid };
  await deleteWithHooks(repository, branch, updateContextOf(user, context, deps.hooks)).catch(
    (error: unknown) => refuseDeletion(error, request.branchName),
  );
  return {};
};

const REFUSALS = {
  'access-check': ['deletion denied by access checks', 'PERMISSION_DENIED'],
  'custom-hook': ['deletion denied by custom hooks', 'PERMISSION_DENIED'],
  git: ['reference update failed', 'FAILED_PRECONDITION'],
} as const;

function refuseDeletion(error: unknown, branchName: Uint8Array): never {
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

/** Moves a branch forward to a commit on behalf of a user. */
export const userFFBranch: Handlers['userFFBranch'] = async (request, context, deps) => {
  const { commitId } = request;
  const repository = deps.storages.open(request.repository);
  requireFilled(request.branch, 'empty branch name');
  const user = requireUser(request.user);
  requireFilled(commitId, 'empty commit id');

  const { branch, expectedOldOid } = request;
  await fastForward(
    repository,
    { branch, commitOid: commitId, expectedOldOid },
    updateContextOf(user, context, deps.hooks),
  ).catch(refuseForward);
  return { branchUpdate: { commitId } };
};

function refuseForward(error: unknown): never {
  if (error instanceof ReferenceNotFoundError) throw invalidArgument(error.message);
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook') {
    const details = [create(UserFFBranchErrorSchema, { error: customHookCase(refusal.error) })];
    throw new GitalyError('PERMISSION_DENIED', refusal.error.message, { cause, details });
  }
  if (refusal?.by === 'git') {
    // Gitaly omits the name of the reference here.
    const { oldOid, newOid } = refusal.error;
    const details = [
      create(UserFFBranchErrorSchema, { error: { case: 'referenceUpdate', value: { oldOid, newOid } } }),
    ];
    throw wrap(cause, 'update reference with hooks', 'FAILED_PRECONDITION', { details });
  }
  throw wrap(cause, 'updating ref with hooks');
}

/**
 * Moves a branch on behalf of a user, forwards or not; zeros create and delete. A script's refusal
 * is a response, not an error.
 */
export const userUpdateBranch: Handlers['userUpdateBranch'] = async (request, context, deps) => {
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
};

function parseRevision(revision: Uint8Array, field: string, repository: Repository): string {
  const problem = objectIdProblem(revision, repository.objectFormat);
  if (problem !== undefined) throw new GitalyError('INTERNAL', `could not parse ${field}: ${problem}`);
  return Buffer.from(revision).toString();
}
