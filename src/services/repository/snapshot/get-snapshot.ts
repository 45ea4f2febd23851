import { createSnapshot } from '#domain/snapshot/create-snapshot';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { Handlers } from '../dependencies.ts';

/** Streams a tar archive of a repository, objects of its pool among them. */
export const getSnapshot: Handlers['getSnapshot'] = async function* (request, { signal, log }, deps) {
  const repository = deps.storages.open(request.repository);
  const onSkipped = (reason: string): void => log.add({ snapshot_skipped: reason });

  const chunks = createSnapshot(repository, { chunkBytes: MAX_CHUNK_BYTES, signal, onSkipped });
  for await (const data of chunks) yield { data };
};
