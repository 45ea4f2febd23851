import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ErrorDetail, GitalyError, messageOf, withCode, wrap } from '#base/gitaly-error';
import { commitFiles, EmptySignatureError } from '#domain/commit-files/commit-files';
import type { FileAction } from '#domain/commit-files/file-action';
import { IndexError, type IndexProblem } from '#domain/commit-files/index-error';
import { receiveActions } from '#domain/commit-files/receive-actions';
import { fileWriter } from '#domain/commit-files/write-file';
import { refusalOf } from '#domain/ref-update/refusals';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import type { Ident } from '#git/objects/format-ident';
import { ZERO_OID } from '#git/objects/object-id';
import { ObjectWriter } from '#git/objects/write-objects';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import { IndexError_ErrorType as ErrorType, IndexErrorSchema } from '#wire/gen/errors_pb';
import {
  type UserCommitFilesError,
  UserCommitFilesErrorSchema,
  type UserCommitFilesRequest,
  type UserCommitFilesRequestHeader,
  type UserCommitFilesResponseSchema,
} from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import { openRequests } from '../convert/first-request.ts';
import { requireObjectId } from '../convert/object-id.ts';
import { updateContextOf } from '../convert/update-context.ts';
import { actionParts } from './commit-files-actions.ts';
import { type CommitStart, startOf } from './commit-files-start.ts';
import type { OperationRooms } from './index.ts';
import { signatureOfUser } from './merge-parts.ts';
import { accessCheckCase, customHookCase } from './refusal-details.ts';
import { branchReference, expectedOid, requireFilled, requireUser } from './request-parts.ts';
import { signedBy } from './signed-by.ts';

/** A commit with less in it is made in memory first. */
const MAX_HELD_BYTES = 1024 * 1024;

/** Commits changes of files to a branch, which may be new. Contents of any size are written while they come. */
export async function userCommitFiles(
  requests: AsyncIterable<UserCommitFilesRequest>,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserCommitFilesResponseSchema>> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const { case: kind, value: header } = first.userCommitFilesRequestPayload;
  if (kind !== 'header') throw new GitalyError('INVALID_ARGUMENT', 'empty UserCommitFilesRequestHeader');
  const repository = rooms.storages.open(header.repository);
  const user = requireUser(header.user, 'empty User');
  requireFilled(header.commitMessage, 'empty CommitMessage');
  requireFilled(header.branchName, 'empty BranchName');
  const objectFormat = repository.git.objectFormat(repository);
  if (header.startSha !== '') requireObjectId(header.startSha, objectFormat);

  const { signal } = context;
  await using quarantine = await Quarantine.create(repository);
  const start = await startOf({ repository, target: quarantine.repository, header }, context, rooms);
  const newOid = await writeCommit({ rooms, context, repository, quarantine, user, header, start }, actionParts(rest)).catch(
    refuse,
  );
  const hadBranches = await repository.refs.hasBranches({ signal });
  const oldOid =
    (await expectedOid(repository, header.expectedOldOid, { signal, allowZero: true })) ?? oldOidOf(start, header, objectFormat);
  const reference = branchReference(header.branchName);
  const update = { repository, quarantine, reference, oldOid, newOid };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(refuseUpdate);
  const branchCreated = oldOid === ZERO_OID[objectFormat];
  return { branchUpdate: { commitId: newOid, repoCreated: !hadBranches, branchCreated } };
}

/** Unless it is forced, a branch moves on from where the commit began. */
function oldOidOf(
  { targetOid, parentOid }: CommitStart,
  { force }: UserCommitFilesRequestHeader,
  format: 'sha1' | 'sha256',
): string {
  if (targetOid === undefined || parentOid === undefined) return ZERO_OID[format];
  return force ? targetOid : parentOid;
}

interface CommitParts {
  readonly rooms: OperationRooms;
  readonly context: HandlerContext;
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  readonly user: User;
  readonly header: UserCommitFilesRequestHeader;
  readonly start: CommitStart;
}

async function writeCommit(parts: CommitParts, actionsToCome: ReturnType<typeof actionParts>): Promise<string> {
  const { rooms, context, repository, quarantine, user, header, start } = parts;
  const { signal } = context;
  const objectFormat = repository.git.objectFormat(repository);
  await using writer = new ObjectWriter(quarantine.repository, objectFormat, { holdBytes: MAX_HELD_BYTES });
  const actions: FileAction[] = await receiveActions(actionsToCome, await fileWriter(quarantine.repository, writer, signal));
  const committer = signatureOfUser(user, header.timestamp);
  const author = authorOf(header, committer);
  const { parentOid } = start;
  const people = { author, ...signedBy(committer, header, context, rooms) };
  const commit = { parentOid, actions, ...people, message: header.commitMessage };
  const oid = await commitFiles(commit, { repository: start.repository, writer, signal });
  if (!(await rooms.hooks.looksAtObjects(repository))) writer.redirect(repository);
  await writer.finish();
  return oid;
}

/** The person that the request names, of whom it may leave out the name or the address. */
function authorOf({ commitAuthorName, commitAuthorEmail }: UserCommitFilesRequestHeader, committer: Ident): Ident {
  const [name, email] = [trimmed(commitAuthorName), trimmed(commitAuthorEmail)];
  return {
    ...committer,
    name: name.length === 0 ? committer.name : name,
    email: email.length === 0 ? committer.email : email,
  };
}

function trimmed(text: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(text).toString('latin1').trim(), 'latin1');
}

const ERROR_TYPES = {
  'directory exists': { code: 'ALREADY_EXISTS', type: ErrorType.DIRECTORY_EXISTS },
  'directory traversal': { code: 'INVALID_ARGUMENT', type: ErrorType.DIRECTORY_TRAVERSAL },
  'empty path': { code: 'INVALID_ARGUMENT', type: ErrorType.EMPTY_PATH },
  'file exists': { code: 'ALREADY_EXISTS', type: ErrorType.FILE_EXISTS },
  'file not found': { code: 'NOT_FOUND', type: ErrorType.FILE_NOT_FOUND },
  'invalid path': { code: 'INVALID_ARGUMENT', type: ErrorType.INVALID_PATH },
} as const satisfies Record<IndexProblem, object>;

function refuse(error: unknown): never {
  if (error instanceof IndexError) {
    const { code, type } = ERROR_TYPES[error.problem];
    const value = { path: error.path, errorType: type };
    throw new GitalyError(code, error.message, {
      cause: error,
      ...detail({ case: 'indexUpdate', value: create(IndexErrorSchema, value) }),
    });
  }
  if (error instanceof EmptySignatureError) throw withCode(error, 'INVALID_ARGUMENT');
  throw error;
}

function refuseUpdate(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by === 'git') throw withCode(error, 'FAILED_PRECONDITION');
  const told = wrap(error, 'update reference', 'UNKNOWN');
  switch (refusal?.by) {
    case 'access-check':
      throw denied(told, 'denied by access checks', accessCheckCase(refusal.error));
    case 'custom-hook':
      throw denied(told, 'denied by custom hooks', customHookCase(refusal.error));
    case undefined:
      throw told;
  }
}

function denied(error: unknown, by: string, reason: UserCommitFilesError['error']): GitalyError {
  return new GitalyError('PERMISSION_DENIED', `${by}: ${messageOf(error)}`, { cause: error, ...detail(reason) });
}

function detail(error: UserCommitFilesError['error']): { details: ErrorDetail[] } {
  return { details: [create(UserCommitFilesErrorSchema, { error })] };
}
