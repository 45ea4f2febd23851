import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  OperationBranchUpdate,
  UserApplyPatchRequest_HeaderSchema,
  UserApplyPatchRequestSchema,
} from '#wire/gen/operations_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { type Content, splitBytes } from './split-bytes.ts';

/**
 * Applies mails in the format of `git format-patch` to a branch (RPC UserApplyPatch), split into
 * messages of at most 128 KiB.
 *
 * @throws {CallError} the status of the call.
 */
export async function applyPatch(
  connection: Connection,
  header: MessageInitShape<typeof UserApplyPatchRequest_HeaderSchema>,
  patches: Content,
  options: CallOptions = {},
): Promise<OperationBranchUpdate | undefined> {
  const { branchUpdate } = await connection.operation.userApplyPatch(requests(header, patches), options);
  return branchUpdate;
}

async function* requests(
  header: MessageInitShape<typeof UserApplyPatchRequest_HeaderSchema>,
  patches: Content,
): AsyncGenerator<MessageInitShape<typeof UserApplyPatchRequestSchema>, void, undefined> {
  yield { userApplyPatchRequestPayload: { case: 'header', value: header } };
  for await (const value of splitBytes(patches))
    yield { userApplyPatchRequestPayload: { case: 'patches', value } };
}
