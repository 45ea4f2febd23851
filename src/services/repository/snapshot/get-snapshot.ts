import { createSnapshot } from '#domain/snapshot/create-snapshot';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { GetSnapshotRequest, GetSnapshotResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Streams a tar archive of a repository, objects of its pool among them. */
export async function* getSnapshot(
  request: GetSnapshotRequest,
  { signal, log }: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof GetSnapshotResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const onSkipped = (reason: string): void => log.add({ snapshot_skipped: reason });

  const chunks = createSnapshot(repository, { chunkBytes: MAX_CHUNK_BYTES, signal, onSkipped });
  for await (const data of chunks) yield { data };
}
