import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  CheckBlobsGeneratedRequest_BlobSchema,
  CheckBlobsGeneratedResponse_Blob,
} from '#wire/gen/analysis_pb';
import type { CheckObjectsExistResponse_RevisionExistence } from '#wire/gen/commit_pb';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { eachItem } from '../content/collect/each-item.ts';
import { toBytes } from '../repository/values.ts';
import { splitItems } from './split-items.ts';

/**
 * Reports for each revision, in the given order and under its given name, whether it exists (RPC
 * CheckObjectsExist). Revisions are sent 100 per message while responses arrive.
 *
 * @throws {CallError} the status of the call.
 */
export async function* checkObjectsExist(
  connection: Connection,
  repository: MessageInitShape<typeof RepositorySchema>,
  revisions: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
  options: CallOptions = {},
): AsyncGenerator<CheckObjectsExistResponse_RevisionExistence, void, undefined> {
  const groups = splitItems(revisions);
  const first = await groups.next();
  if (first.done === true) return; // a call without a revision is refused
  const requests = async function* () {
    yield { repository, revisions: first.value.map(toBytes) };
    for await (const group of groups) yield { revisions: group.map(toBytes) };
  };
  yield* eachItem(connection.commit.checkObjectsExist(requests(), options), (response) => response.revisions);
}

/**
 * Reports for each blob, in the given order, whether it is generated code (RPC CheckBlobsGenerated,
 * since 19.0). Blobs are sent 100 per message while responses arrive.
 *
 * @throws {CallError} the status of the call.
 */
export async function* checkBlobsGenerated(
  connection: Connection,
  repository: MessageInitShape<typeof RepositorySchema>,
  blobs: Iterable<MessageInitShape<typeof CheckBlobsGeneratedRequest_BlobSchema>>,
  options: CallOptions = {},
): AsyncGenerator<CheckBlobsGeneratedResponse_Blob, void, undefined> {
  const groups = splitItems(blobs);
  const first = await groups.next();
  if (first.done === true) return; // a call without a blob is refused
  const requests = async function* () {
    yield { repository, blobs: first.value };
    for await (const group of groups) yield { blobs: group };
  };
  yield* eachItem(connection.analysis.checkBlobsGenerated(requests(), options), (response) => response.blobs);
}
