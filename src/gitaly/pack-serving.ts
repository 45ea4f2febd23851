import type { ServiceResult } from '#domain/git-service/service-streams';
import type { PackServing } from '#domain/upload-pack/fetch';
import { SharedFetches } from '#domain/upload-pack/shared-fetches';
import type { ServiceParts } from './services.ts';
import { createStreamCache } from './stream-caches.ts';

/**
 * Creates what fetches share. @param hook program for `uploadpack.packObjectsHook`.
 */
export async function packServing(
  { config, logger, metrics, packLimits: limits, storages }: ServiceParts,
  hook: string,
): Promise<{ readonly serving: PackServing; readonly resources: AsyncDisposable }> {
  const isContended = (): boolean => limits.isContended;
  const streams = await createStreamCache<ServiceResult>('packObjectsCache', {
    config,
    storages,
    logger,
    metrics: metrics.packs,
    isContended,
  });
  limits.onContention = () => streams.relieve();
  const shared = new SharedFetches({
    streams,
    limits,
    observer: metrics.packs,
    isCacheEnabled: config.packObjectsCache.enabled,
  });
  return { serving: { shared, limits, hook }, resources: streams };
}
