import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, messageOf, withCode, wrap } from '#base/gitaly-error';
import { EmptySignatureError } from '#domain/commit-files/commit-files';
import { commitFilesToBranch } from '#domain/commit-files/commit-files-to-branch';
import type { FileAction } from '#domain/commit-files/file-action';
import { IndexError, type IndexProblem } from '#domain/commit-files/index-error';
import type { ActionHeader, ActionPart } from '#domain/commit-files/receive-actions';
import { UpdateFailedError } from '#domain/ref-update/refusals';
import { openRequests } from '#services/convert/request/first-request';
import { requireObjectId } from '#services/convert/request/object-id';
import { remoteOpener } from '#services/convert/request/open-remote';
import { updateContextOf } from '#services/convert/request/update-context';
import { IndexError_ErrorType as ErrorType } from '#wire/gen/errors_pb';
import {
  UserCommitFilesActionHeader_ActionType as ActionType,
  type UserCommitFilesActionHeader,
  UserCommitFilesErrorSchema,
  type UserCommitFilesRequest,
  type UserCommitFilesRequestHeader,
} from '#wire/gen/operations_pb';
import type { Repository as RepositoryMessage } from '#wire/gen/shared_pb';
import { toBranchUpdate } from '../branch-update.ts';
import type { Handlers } from '../dependencies.ts';
import { accessCheckCase, customHookCase } from '../error-details.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

const KINDS: Readonly<Record<ActionType, FileAction['kind']>> = {
  [ActionType.CREATE]: 'create',
  [ActionType.CREATE_DIR]: 'create-directory',
  [ActionType.UPDATE]: 'update',
  [ActionType.MOVE]: 'move',
  [ActionType.DELETE]: 'delete',
  [ActionType.CHMOD]: 'change-mode',
};

/**
 * Commits changes of files to a branch, which may be new. Contents of any size are written while
 * they arrive.
 */
export const userCommitFiles: Handlers['userCommitFiles'] = async (requests, context, deps) => {
  const { first, rest } = await openRequests(requests);
  const { case: kind, value: header } = first.userCommitFilesRequestPayload;
  if (kind !== 'header') throw invalidArgument('empty UserCommitFilesRequestHeader');
  const repository = deps.storages.open(header.repository);
  const user = requireUser(header.user, 'empty User');
  requireFilled(header.commitMessage, 'empty CommitMessage');
  requireFilled(header.branchName, 'empty BranchName');
  if (header.startSha !== '') requireObjectId(header.startSha, repository.objectFormat);

  const { branchName, startBranchName, startSha: startOid, expectedOldOid, force } = header;
  const startRepository = otherRepository(header);
  const files = {
    branchName,
    startOid,
    startBranchName,
    openRemote: startRepository && remoteOpener(startRepository, context, deps.remotes),
    actions: actionParts(rest),
    user,
    authorName: header.commitAuthorName,
    authorEmail: header.commitAuthorEmail,
    seconds: header.timestamp?.seconds,
    message: header.commitMessage,
    expectedOldOid,
    force,
    signing: signingOf(header, context, deps),
  };
  const updateContext = updateContextOf(user, context, deps.hooks);
  const branchUpdate = await commitFilesToBranch(repository, files, updateContext).catch((error: unknown) => {
    context.log.add(requestFacts(header));
    return refuse(error);
  });
  return { branchUpdate: toBranchUpdate(branchUpdate) };
};

/** Returns the log fields that describe the request of a failed call. */
function requestFacts(header: UserCommitFilesRequestHeader): Record<string, unknown> {
  const { repository, branchName, startRepository, startBranchName, startSha, force } = header;
  return {
    repository_storage: repository?.storageName,
    repository_relative_path: repository?.relativePath,
    // Bytes, as in Gitaly: base64 in a log of JSON.
    branch_name: branchName,
    start_branch_name: startBranchName,
    start_sha: startSha,
    force,
    ...(startRepository && {
      start_repository_storage: startRepository.storageName,
      start_repository_relative_path: startRepository.relativePath,
    }),
  };
}

/** Returns the start repository of the change if it is another one. */
function otherRepository({
  repository,
  startRepository,
}: UserCommitFilesRequestHeader): RepositoryMessage | undefined {
  const { storageName, relativePath } = startRepository ?? {};
  return storageName === repository?.storageName && relativePath === repository?.relativePath
    ? undefined
    : startRepository;
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
    const { code, type: errorType } = ERROR_TYPES[error.problem];
    const reason = { case: 'indexUpdate', value: { path: error.path, errorType } } as const;
    throw new GitalyError(code, error.message, { cause: error, ...detail(reason) });
  }
  if (error instanceof EmptySignatureError) throw withCode(error, 'INVALID_ARGUMENT');
  if (!(error instanceof UpdateFailedError)) throw error;
  const { refusal, cause } = error;
  if (refusal?.by === 'git') throw withCode(cause, 'FAILED_PRECONDITION');
  const failure = wrap(cause, 'update reference', 'UNKNOWN');
  switch (refusal?.by) {
    case 'access-check':
      throw denied(failure, 'denied by access checks', accessCheckCase(refusal.error));
    case 'custom-hook':
      throw denied(failure, 'denied by custom hooks', customHookCase(refusal.error));
    case undefined:
      throw failure;
  }
}

type Reason = NonNullable<MessageInitShape<typeof UserCommitFilesErrorSchema>['error']>;

function denied(cause: unknown, by: string, reason: Reason): GitalyError {
  return new GitalyError('PERMISSION_DENIED', `${by}: ${messageOf(cause)}`, { cause, ...detail(reason) });
}

function detail(error: Reason) {
  return { details: [create(UserCommitFilesErrorSchema, { error })] };
}

/**
 * Yields the actions in a stream of requests. Any other message is an error.
 *
 * @throws {GitalyError} INTERNAL `content sent before action`,
 *   `unhandled action payload type: <nil>`.
 */
async function* actionParts(requests: AsyncIterable<UserCommitFilesRequest>): AsyncGenerator<ActionPart> {
  let isFirst = true;
  for await (const { userCommitFilesRequestPayload: payload } of requests) {
    const part = payload.case === 'action' ? payload.value.userCommitFilesActionPayload : undefined;
    switch (part?.case) {
      case 'header':
        yield { header: headerOf(part.value) };
        break;
      case 'content':
        if (isFirst) throw new GitalyError('INTERNAL', 'content sent before action');
        yield { content: part.value };
        break;
      default:
        throw new GitalyError('INTERNAL', 'unhandled action payload type: <nil>');
    }
    isFirst = false;
  }
}

function headerOf(header: UserCommitFilesActionHeader): ActionHeader {
  return {
    // A client may send actions that the table lacks.
    kind: (KINDS as Readonly<Record<number, FileAction['kind'] | undefined>>)[header.action] ?? header.action,
    path: Buffer.from(header.filePath),
    previousPath: Buffer.from(header.previousPath),
    isExecutable: header.executeFilemode,
    isBase64: header.base64Content,
    keepsContent: header.inferContent,
  };
}
