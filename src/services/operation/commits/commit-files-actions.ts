import { GitalyError } from '#base/gitaly-error';
import type { FileAction } from '#domain/commit-files/file-action';
import type { ActionHeader, ActionPart } from '#domain/commit-files/receive-actions';
import {
  UserCommitFilesActionHeader_ActionType as ActionType,
  type UserCommitFilesActionHeader,
  type UserCommitFilesRequest,
} from '#wire/gen/operations_pb';

const KINDS: Readonly<Record<ActionType, FileAction['kind']>> = {
  [ActionType.CREATE]: 'create',
  [ActionType.CREATE_DIR]: 'create-directory',
  [ActionType.UPDATE]: 'update',
  [ActionType.MOVE]: 'move',
  [ActionType.DELETE]: 'delete',
  [ActionType.CHMOD]: 'change-mode',
};

/**
 * Yields the actions in a stream of requests. Any other message is an error.
 *
 * @throws {GitalyError} INTERNAL `content sent before action`,
 *   `unhandled action payload type: <nil>`.
 */
export async function* actionParts(
  requests: AsyncIterable<UserCommitFilesRequest>,
): AsyncGenerator<ActionPart> {
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
