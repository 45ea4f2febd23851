import { KeyedLimit } from '#base/limits/keyed-limit';
import { runningCall } from '#calls/running-call';
import { maxTotal } from '#domain/pack-objects/max-total';
import {
  type CallerLimit,
  type PackLimitObserver,
  PackLimits,
  TOTAL_KEY,
} from '#domain/pack-objects/pack-limits';
import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import type { ServerCall } from '#rpc/server/server-call';
import type { LimitFactory } from './limit-factory.ts';

type Limiting = GitalyConfig['packObjectsLimiting'];

export interface ConfiguredPackLimits {
  readonly limits: PackLimits;
  readonly adaptive: readonly AdaptiveLimit[];
}

/** Further ones would wait for minutes. */
const WAITING_PER_PACK = 250;
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
  const adaptive: AdaptiveLimit[] = [];
  const add = (name: string, values: Limiting['unauthenticated'], configKey: string) => {
    const limit = callerLimit(values, configKey, make);
    if (values.adaptive && limit?.limit instanceof KeyedLimit)
      adaptive.push({ name, limit: limit.limit, min: Math.max(1, values.minLimit), max: values.maxLimit });
    return limit;
  };
  const isOn = config.packObjectsCache.enabled || !isDefault(limiting);
  const capacity = maxTotal(limiting.maxTotal);
  const limits = new PackLimits({
    authenticated: isOn ? add('packObjects', limiting, 'pack_objects_limiting') : undefined,
    unauthenticated: isOn
      ? add('packObjects-unauthenticated', limiting.unauthenticated, 'pack_objects_limiting.unauthenticated')
      : undefined,
    total:
      capacity === undefined
        ? undefined
        : make.packs(TOTAL_KEY, { name: 'packs', capacity, maxWaiting: capacity * WAITING_PER_PACK }),
    observers: {
      authenticated: withWaits(metrics.limits.authenticated, 'pack_objects_limiting', onWait),
      unauthenticated: withWaits(
        metrics.limits.unauthenticated,
        'pack_objects_limiting.unauthenticated',
        onWait,
      ),
      total: withWaits(metrics.limits.total, TOTAL_KEY, onWait),
    },
  });
  return { limits, adaptive };
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

function callerLimit(
  limit: Limiting['unauthenticated'],
  configKey: string,
  make: LimitFactory,
): CallerLimit | undefined {
  const maxConcurrency = limit.adaptive ? limit.initialLimit : limit.maxConcurrency || limit.maxPerRepo;
  if (maxConcurrency <= 0) return undefined;
  const maxQueueSize = limit.maxQueueSize || limit.maxQueueLength || DEFAULTS.queue;
  return {
    limit: make.keyed(configKey, { maxConcurrency, maxQueueSize, maxWaitMs: limit.maxQueueWaitMs }),
    configKey,
  };
}
