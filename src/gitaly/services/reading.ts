import { sharedDiffs } from '#domain/diff/large-diffs';
import { GITALY_RELEASE } from '#platform/process/version';
import { type ServedService, serve } from '#rpc/server/handler';
import { analysisService } from '#services/analysis/index';
import { blobService } from '#services/blob/index';
import { commitService } from '#services/commit/index';
import { diffService } from '#services/diff/index';
import { eventService } from '#services/events/index';
import { serverService } from '#services/server/index';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { DiffService } from '#wire/gen/diff_pb';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { ServerService } from '#wire/gen/server_pb';
import type { ServiceFoundation } from './service-foundation.ts';
import { createDiffCache } from './stream-caches.ts';

/** Returns the services that only read. `resources` releases what they use. */
export async function readingServices(
  { config, family, feed, fillsOldFields, logger, metrics, signingKeys, storages }: ServiceFoundation,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { observeListCommitsByOid } = metrics;
  const cacheOptions = { config, family, storages, logger, metrics: metrics.packs };
  storages.caches.diffOutputs.large = sharedDiffs(resources.use(await createDiffCache(cacheOptions)));
  return [
    serve(AnalysisService, analysisService({ storages })),
    serve(BlobService, blobService({ storages })),
    serve(CommitService, commitService({ storages, signingKeys, fillsOldFields, observeListCommitsByOid })),
    serve(DiffService, diffService({ storages })),
    ...(feed === undefined ? [] : [serve(EventService, eventService({ feed }))]),
    serve(ServerService, serverService({ storages, serverVersion: GITALY_RELEASE, signingKeys })),
  ];
}
