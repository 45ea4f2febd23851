import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import {
  UserCommitFilesActionHeader_ActionType as ActionType,
  type OperationBranchUpdate,
  type UserCommitFilesActionHeaderSchema,
  type UserCommitFilesRequestHeaderSchema,
  type UserCommitFilesRequestSchema,
} from '#wire/gen/operations_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { toBytes } from '../repository/values.ts';
import { requireAccepted } from './confirm-merge.ts';
import { type Content, splitBytes } from './split-bytes.ts';

type Request = MessageInitShape<typeof UserCommitFilesRequestSchema>;
type ActionHeader = MessageInitShape<typeof UserCommitFilesActionHeaderSchema>;
/** A path from the top of the repository, without a leading slash. */
type Path = string | Uint8Array;

/** One change in a commit. */
export type FileAction =
  | { readonly type: 'create'; readonly path: Path; readonly content: Content; readonly executable?: boolean }
  | { readonly type: 'create_directory'; readonly path: Path }
  | { readonly type: 'update'; readonly path: Path; readonly content: Content }
  /** Without `content` the file is unchanged. */
  | { readonly type: 'move'; readonly path: Path; readonly previousPath: Path; readonly content?: Content }
  | { readonly type: 'delete'; readonly path: Path }
  | { readonly type: 'chmod'; readonly path: Path; readonly executable: boolean };

/**
 * Commits changes of files to a branch (RPC UserCommitFiles). Contents may be streams of any size:
 * they are split into messages of at most 128 KiB and read only as fast as the server writes them,
 * in the order of the actions.
 *
 * @throws {CallError} the status of the call, with UserCommitFilesError as detail (`indexUpdate`,
 *   `accessCheck`, `customHook`).
 * @throws {GitalyError} with the text that older servers put into an OK response: PERMISSION_DENIED
 *   for that of a hook, FAILED_PRECONDITION for a file that cannot be changed so.
 */
export async function commitFiles(
  connection: Connection,
  header: MessageInitShape<typeof UserCommitFilesRequestHeaderSchema>,
  actions: Iterable<FileAction> | AsyncIterable<FileAction>,
  options: CallOptions = {},
): Promise<OperationBranchUpdate | undefined> {
  const response = await connection.operation.userCommitFiles(requests(header, actions), options);
  const { branchUpdate, indexError, preReceiveError } = response;
  requireAccepted(preReceiveError);
  if (indexError !== '') throw new GitalyError('FAILED_PRECONDITION', indexError);
  return branchUpdate;
}

async function* requests(
  header: MessageInitShape<typeof UserCommitFilesRequestHeaderSchema>,
  actions: Iterable<FileAction> | AsyncIterable<FileAction>,
): AsyncGenerator<Request, void, undefined> {
  yield { userCommitFilesRequestPayload: { case: 'header', value: header } };
  for await (const action of actions) {
    yield actionRequest({ case: 'header', value: headerOf(action) });
    if (!('content' in action) || action.content === undefined) continue;
    for await (const value of splitBytes(action.content)) yield actionRequest({ case: 'content', value });
  }
}

function actionRequest(
  payload: { case: 'header'; value: ActionHeader } | { case: 'content'; value: Uint8Array },
): Request {
  return {
    userCommitFilesRequestPayload: { case: 'action', value: { userCommitFilesActionPayload: payload } },
  };
}

function headerOf(action: FileAction): ActionHeader {
  const filePath = toBytes(action.path);
  switch (action.type) {
    case 'create':
      return { action: ActionType.CREATE, filePath, executeFilemode: action.executable ?? false };
    case 'create_directory':
      return { action: ActionType.CREATE_DIR, filePath };
    case 'update':
      return { action: ActionType.UPDATE, filePath };
    case 'move': {
      const inferContent = action.content === undefined;
      return { action: ActionType.MOVE, filePath, previousPath: toBytes(action.previousPath), inferContent };
    }
    case 'delete':
      return { action: ActionType.DELETE, filePath };
    case 'chmod':
      return { action: ActionType.CHMOD, filePath, executeFilemode: action.executable };
  }
}
