import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import type {
  ResolveConflictsRequestHeaderSchema,
  ResolveConflictsRequestSchema,
} from '#wire/gen/conflicts_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { splitBytes } from './split-bytes.ts';

/**
 * Resolution of one file: section by section (`<section id>` → `head` or `origin`), or by its whole
 * content.
 */
export interface ConflictResolution {
  readonly old_path: string;
  readonly new_path: string;
  readonly sections?: Readonly<Record<string, 'head' | 'origin'>>;
  readonly content?: string;
}

/**
 * Resolves a merge conflict with a commit (RPC ResolveConflicts).
 *
 * @throws {CallError} the status of the call; {GitalyError} FAILED_PRECONDITION with the server's
 *   text for an invalid resolution.
 */
export async function resolveConflicts(
  connection: Connection,
  header: MessageInitShape<typeof ResolveConflictsRequestHeaderSchema>,
  files: readonly ConflictResolution[],
  options: CallOptions = {},
): Promise<void> {
  const { resolutionError } = await connection.conflicts.resolveConflicts(requests(header, files), options);
  if (resolutionError !== '') throw new GitalyError('FAILED_PRECONDITION', resolutionError);
}

async function* requests(
  header: MessageInitShape<typeof ResolveConflictsRequestHeaderSchema>,
  files: readonly ConflictResolution[],
): AsyncGenerator<MessageInitShape<typeof ResolveConflictsRequestSchema>, void, undefined> {
  yield { resolveConflictsRequestPayload: { case: 'header', value: header } };
  for await (const value of splitBytes(JSON.stringify(files))) {
    yield { resolveConflictsRequestPayload: { case: 'filesJson', value } };
  }
}
