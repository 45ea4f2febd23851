import type { ServiceResult } from '#domain/git-service/service-streams';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import type { PackServing } from '#domain/upload-pack/fetch';
import { SharedFetches } from '#domain/upload-pack/shared-fetches';
import { createStreamCache, type StreamCacheParts } from './stream-caches.ts';

export interface PackServingParts extends StreamCacheParts {
  readonly limits: PackLimits;
  /** Program for `uploadpack.packObjectsHook`. */
  readonly hook: string;
}

/** Creates what fetches share. `resources` ends it. */
export async function packServing({
  limits,
  hook,
  ...parts
}: PackServingParts): Promise<{ readonly serving: PackServing; readonly resources: AsyncDisposable }> {
  const isContended = (): boolean => limits.isContended;
  const streams = await createStreamCache<ServiceResult>('packObjectsCache', { ...parts, isContended });
  limits.onContention = () => streams.relieve();
  const { config, metrics: observer } = parts;
  const isCacheEnabled = config.packObjectsCache.enabled;
  const shared = new SharedFetches({ streams, limits, observer, isCacheEnabled });
  return { serving: { shared, limits, hook }, resources: streams };
}
