import { sharedDiffs } from '#domain/diff/large-diffs';
import { GITALY_RELEASE } from '#platform/process/version';
import type { ServedService } from '#rpc/server/handler';
import { analysisService } from '#services/analysis/index';
import { blobService } from '#services/blob/index';
import { commitService } from '#services/commit/index';
import { diffService } from '#services/diff/index';
import { eventService } from '#services/events/index';
import { serverService } from '#services/server/index';
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
    analysisService({ storages }),
    blobService({ storages }),
    commitService({ storages, signingKeys, fillsOldFields, observeListCommitsByOid }),
    diffService({ storages }),
    ...(feed === undefined ? [] : [eventService({ feed })]),
    serverService({ storages, serverVersion: GITALY_RELEASE, signingKeys }),
  ];
}
