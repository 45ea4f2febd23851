import { runningCall } from '#calls/running-call';
import { maxTotal } from '#domain/pack-objects/max-total';
import { type PackLimitObserver, PackLimits, TOTAL_KEY } from '#domain/pack-objects/pack-limits';
import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import type { ServerCall } from '#rpc/server/server-call';
import { configuredLimit } from './configured-limit.ts';
import type { LimitFactory } from './limit-factory.ts';

type Limiting = GitalyConfig['packObjectsLimiting'];

export interface ConfiguredPackLimits {
  readonly limits: PackLimits;
  readonly adaptive: readonly AdaptiveLimit[];
}

/** Further ones would wait for minutes. */
const WAITING_PER_PACK = 250;
const KEY = 'pack_objects_limiting';
const DEFAULTS = { max: 200, queue: 200 };

/**
 * Returns the limits of `[pack_objects_limiting]`. As in Gitaly, those of one caller apply if the
 * cache of packs is on; here also if their table is not the default one.
 */
export function packLimits(
  config: GitalyConfig,
  metrics: PackMetrics,
  onWait: (call: ServerCall, configKey: string) => () => void,
  make: LimitFactory,
): ConfiguredPackLimits {
  const limiting = config.packObjectsLimiting;
  const adaptive = new Map<string, AdaptiveLimit>();
  const shared = { make, adaptive, defaultQueueSize: DEFAULTS.queue };
  const isOn = config.packObjectsCache.enabled || !isDefault(limiting);
  const capacity = maxTotal(limiting.maxTotal);
  const limits = new PackLimits({
    authenticated: isOn
      ? configuredLimit(limiting, { ...shared, name: 'packObjects', configKey: KEY })
      : undefined,
    unauthenticated: isOn
      ? configuredLimit(limiting.unauthenticated, {
          ...shared,
          name: 'packObjects-unauthenticated',
          configKey: `${KEY}.unauthenticated`,
        })
      : undefined,
    total:
      capacity === undefined
        ? undefined
        : make.packs(TOTAL_KEY, { name: 'packs', capacity, maxWaiting: capacity * WAITING_PER_PACK }),
    observers: {
      authenticated: withWaits(metrics.limits.authenticated, KEY, onWait),
      unauthenticated: withWaits(metrics.limits.unauthenticated, `${KEY}.unauthenticated`, onWait),
      total: withWaits(metrics.limits.total, TOTAL_KEY, onWait),
    },
  });
  return { limits, adaptive: [...adaptive.values()] };
}

/** Returns an observer that also reports which call waits. */
function withWaits(
  observer: PackLimitObserver,
  configKey: string,
  onWait: (call: ServerCall, configKey: string) => () => void,
): PackLimitObserver {
  const ends = new WeakMap<ServerCall, () => void>();
  return {
    ...observer,
    queued: (change) => {
      observer.queued(change);
      const call = runningCall();
      if (call === undefined) return;
      if (change === 1) ends.set(call, onWait(call, configKey));
      else ends.get(call)?.();
    },
  };
}

function isDefault({ unauthenticated, ...limit }: Limiting): boolean {
  const { adaptive, maxConcurrency, maxPerRepo, maxQueueLength, maxQueueSize, maxQueueWaitMs } = limit;
  return (
    !adaptive &&
    maxConcurrency === DEFAULTS.max &&
    maxPerRepo === 0 &&
    maxQueueSize === DEFAULTS.queue &&
    maxQueueLength === 0 &&
    maxQueueWaitMs === 0 &&
    !unauthenticated.adaptive &&
    unauthenticated.maxConcurrency === 0 &&
    unauthenticated.maxPerRepo === 0
  );
}
