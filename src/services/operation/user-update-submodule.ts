import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf, type StatusCode, wrap } from '#base/gitaly-error';
import { writeCommit } from '#domain/commit/write-commit';
import { NoSubmoduleError, SubmoduleUnchangedError, updateSubmodule } from '#domain/commit-files/update-submodule';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import { objectIdProblem } from '#git/objects/object-id';
import { ObjectWriter } from '#git/objects/write-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import { PathError_ErrorType as ErrorType, PathErrorSchema } from '#wire/gen/errors_pb';
import {
  type UserUpdateSubmoduleError,
  UserUpdateSubmoduleErrorSchema,
  type UserUpdateSubmoduleRequest,
  type UserUpdateSubmoduleResponseSchema,
} from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { resolveRevision, signatureOfUser } from './merge-parts.ts';
import { customHookCase, referenceUpdateCase } from './refusal-details.ts';
import { branchReference, expectedOid, requireFilled, requireUser, resolveReference } from './request-parts.ts';

/** Commits that a submodule stands at another commit, which need not be known here. */
export async function userUpdateSubmodule(
  request: UserUpdateSubmoduleRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserUpdateSubmoduleResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const user = requireUser(request.user, 'empty User');
  requireFilled(request.commitSha, 'empty CommitSha');
  if (objectIdProblem(request.commitSha, repository.git.objectFormat(repository)) !== undefined) {
    throw new GitalyError('INVALID_ARGUMENT', 'invalid CommitSha');
  }
  requireFilled(request.branch, 'empty Branch');
  requireFilled(request.submodule, 'empty Submodule');
  requireFilled(request.commitMessage, 'empty CommitMessage');

  const { signal } = context;
  if (!(await repository.refs.hasBranches({ signal }))) throw new GitalyError('FAILED_PRECONDITION', 'Repository is empty');
  const reference = branchReference(request.branch);
  const oldOid =
    (await expectedOid(repository, request.expectedOldOid, { signal })) ??
    (await resolveReference(repository, reference, signal));
  if (oldOid === undefined) throw new GitalyError('INVALID_ARGUMENT', 'Cannot find branch');

  await using quarantine = await Quarantine.create(repository);
  const newOid = await commitUpdate({ repository, quarantine, user, request, signal }).catch((error: unknown) => {
    throw refused(error, request.submodule);
  });
  const update = { repository, quarantine, reference, oldOid, newOid };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuseUpdate);
  return { branchUpdate: { commitId: newOid } };
}

interface UpdateParts {
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  readonly user: User;
  readonly request: UserUpdateSubmoduleRequest;
  readonly signal: AbortSignal;
}

async function commitUpdate({ repository, quarantine, user, request, signal }: UpdateParts): Promise<string> {
  const { branch, submodule, commitSha, commitMessage } = request;
  const tree = await repository.objects.info(Buffer.concat([branchReference(branch), Buffer.from('^{tree}')]), { signal });
  if (tree === undefined) throw new NoSubmoduleError();
  await using writer = new ObjectWriter(quarantine.repository, repository.git.objectFormat(repository));
  const update = { treeOid: tree.oid, path: Buffer.from(submodule), commitOid: commitSha };
  const treeOid = await updateSubmodule(update, { repository, writer, signal });

  // A tag of the same name would come first: this is how Gitaly looks it up.
  const parentOid = await resolveRevision(repository, branch, signal);
  if (parentOid === undefined) throw new Error('resolving submodule branch: reference not found');
  const person = signatureOfUser(user, request.timestamp);
  const commit = { treeOid, parentOids: [parentOid], author: person, committer: person, message: commitMessage };
  const oid = await writeCommit(writer, commit).catch((error: unknown) => {
    throw new Error(`creating commit ${messageOf(error)}`, { cause: error });
  });
  await writer.finish();
  return oid;
}

function refused(error: unknown, path: Uint8Array): GitalyError {
  const isMissing = error instanceof NoSubmoduleError;
  if (!isMissing && !(error instanceof SubmoduleUnchangedError)) return wrap(error, 'submodule subcommand');
  const value = create(PathErrorSchema, { path, errorType: isMissing ? ErrorType.INVALID_PATH : ErrorType.PATH_EXISTS });
  return rejected('INVALID_ARGUMENT', error, { case: 'pathError', value });
}

function refuseUpdate(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by === 'custom-hook') throw rejected('PERMISSION_DENIED', refusal.error, customHookCase(refusal.error));
  if (refusal?.by === 'git') throw rejected('FAILED_PRECONDITION', refusal.error, referenceUpdateCase(refusal.error));
  throw wrap(error, 'updating ref with hooks');
}

function rejected(code: StatusCode, error: Error, reason: UserUpdateSubmoduleError['error']): GitalyError {
  const detail = create(UserUpdateSubmoduleErrorSchema, { error: reason });
  return new GitalyError(code, error.message, { cause: error, details: [detail] });
}
