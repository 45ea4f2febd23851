import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, type StatusCode, wrap } from '#base/gitaly-error';
import { NoSubmoduleError, SubmoduleUnchangedError } from '#domain/commit-files/update-submodule';
import { updateSubmoduleOnBranch } from '#domain/commit-files/update-submodule-on-branch';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { ReferenceNotFoundError } from '#domain/revisions/expected-oid';
import { isOid } from '#git/names/object-id';
import { updateContextOf } from '#services/convert/request/update-context';
import { PathError_ErrorType as ErrorType } from '#wire/gen/errors_pb';
import { UserUpdateSubmoduleErrorSchema } from '#wire/gen/operations_pb';
import type { Handlers } from '../dependencies.ts';
import { customHookCase, referenceUpdateCase } from '../error-details.ts';
import { requireFilled, requireUser } from '../request-parts.ts';

/** Commits a change of a submodule to another commit, which need not exist here. */
export const userUpdateSubmodule: Handlers['userUpdateSubmodule'] = async (request, context, deps) => {
  const { branch, submodule: path, commitSha: commitOid, commitMessage: message } = request;
  const repository = deps.storages.open(request.repository);
  const user = requireUser(request.user, 'empty User');
  requireFilled(commitOid, 'empty CommitSha');
  if (!isOid(commitOid, repository.objectFormat)) {
    throw invalidArgument('invalid CommitSha');
  }
  requireFilled(branch, 'empty Branch');
  requireFilled(path, 'empty Submodule');
  requireFilled(message, 'empty CommitMessage');

  const { expectedOldOid, timestamp } = request;
  const commitId = await updateSubmoduleOnBranch(
    repository,
    { branch, path, commitOid, user, seconds: timestamp?.seconds, message, expectedOldOid },
    updateContextOf(user, context, deps.hooks),
  ).catch((error: unknown) => refuse(error, path));
  return { branchUpdate: { commitId } };
};

function refuse(error: unknown, path: Uint8Array): never {
  if (error instanceof ReferenceNotFoundError) throw invalidArgument('Cannot find branch');
  if (error instanceof NoSubmoduleError) {
    const value = { path, errorType: ErrorType.INVALID_PATH };
    throw rejected('INVALID_ARGUMENT', error, { case: 'pathError', value });
  }
  if (error instanceof SubmoduleUnchangedError) {
    const value = { path, errorType: ErrorType.PATH_EXISTS };
    throw rejected('INVALID_ARGUMENT', error, { case: 'pathError', value });
  }
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'custom-hook')
    throw rejected('PERMISSION_DENIED', refusal.error, customHookCase(refusal.error));
  if (refusal?.by === 'git')
    throw rejected('FAILED_PRECONDITION', refusal.error, referenceUpdateCase(refusal.error));
  throw wrap(cause, 'updating ref with hooks');
}

type Reason = NonNullable<MessageInitShape<typeof UserUpdateSubmoduleErrorSchema>['error']>;

function rejected(code: StatusCode, cause: Error, error: Reason): GitalyError {
  const details = [create(UserUpdateSubmoduleErrorSchema, { error })];
  return new GitalyError(code, cause.message, { cause, details });
}
