import type { MessageInitShape } from '@bufbuild/protobuf';
import type { UpdateRemoteMirrorRequestSchema, UpdateRemoteMirrorResponse } from '#wire/gen/remote_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { splitItems } from './split-items.ts';

/**
 * Pushes a repository's branches and tags to a mirror (RPC UpdateRemoteMirror). Patterns of
 * `onlyBranchesMatching` are sent 100 per message, after the first message.
 *
 * @throws {CallError} the status of the call. The response lists diverged branches of the mirror.
 */
export function updateRemoteMirror(
  connection: Connection,
  request: MessageInitShape<typeof UpdateRemoteMirrorRequestSchema>,
  options: CallOptions = {},
): Promise<UpdateRemoteMirrorResponse> {
  const requests = async function* () {
    yield { ...request, onlyBranchesMatching: [] };
    for await (const patterns of splitItems(request.onlyBranchesMatching ?? []))
      yield { onlyBranchesMatching: patterns };
  };
  return connection.remote.updateRemoteMirror(requests(), options);
}
