import type { ServiceResult } from '#domain/git-service/service-streams';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { SharedPacks } from '#domain/pack-objects/shared-packs';
import type { PackTurns } from '#domain/upload-pack/pack-gate';
import { SharedFetches } from '#domain/upload-pack/shared-fetches';
import type { OpenCacheOptions } from './open-cache.ts';
import { createStreamCache } from './stream-caches.ts';

export interface PackServingOptions extends OpenCacheOptions {
  readonly limits: PackLimits;
  /** Program for `uploadpack.packObjectsHook`. */
  readonly hook: string;
  /** Directory of this process. */
  readonly traceDirectory: string;
}

export interface BuiltPackServing {
  readonly shared: SharedFetches;
  readonly turns: PackTurns;
  /** For hooks of other programs. */
  readonly packs: SharedPacks;
  readonly resources: AsyncDisposable;
}

/** Creates the state that fetches share. `resources` releases it. */
export async function packServing({
  limits,
  hook,
  traceDirectory,
  ...options
}: PackServingOptions): Promise<BuiltPackServing> {
  const isContended = (): boolean => limits.isContended;
  const streams = await createStreamCache<ServiceResult>('packObjectsCache', { ...options, isContended });
  limits.onContention = () => streams.relieve();
  const { config, metrics: observer } = options;
  const isCacheEnabled = config.packObjectsCache.enabled;
  const shareable = { streams, limits, observer, isCacheEnabled, traceDirectory };
  return {
    shared: new SharedFetches(shareable),
    turns: { limits, hook },
    packs: new SharedPacks(shareable),
    resources: streams,
  };
}
