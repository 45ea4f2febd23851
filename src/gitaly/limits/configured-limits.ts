import { type CallersLimit, Limit } from '#base/limits/limit';
import { runningCall } from '#calls/running-call';
import { maxTotal } from '#domain/pack-objects/max-total';
import { type PackLimitObserver, PackLimits, TOTAL_KEY } from '#domain/pack-objects/pack-limits';
import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { PackMetrics } from '#platform/metrics/pack-metrics';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { ServerCall } from '#rpc/server/server-call';
import type { LimitFactory } from './limit-factory.ts';

interface ConfiguredLimitOptions {
  /** Name in logs and metrics of a limit that follows the load. */
  readonly name: string;
  readonly configKey: string;
  readonly defaultQueueSize: number;
  readonly make: LimitFactory;
  /** Gets the limit if it follows the load, instead of an earlier one of that name. */
  readonly adaptive: Map<string, AdaptiveLimit>;
}

/** Makes a limit of the configuration. Returns `undefined` if its table sets none. */
function configuredLimit(
  table: GitalyConfig['concurrency'][number]['unauthenticated'],
  { adaptive, configKey, defaultQueueSize, make, name }: ConfiguredLimitOptions,
): { readonly limit: CallersLimit; readonly configKey: string } | undefined {
  adaptive.delete(name);
  const maxConcurrency = table.adaptive ? table.initialLimit : table.maxConcurrency || table.maxPerRepo;
  if (maxConcurrency <= 0) return undefined;
  const limit = make.keyed(configKey, {
    capacityPerOwner: maxConcurrency,
    maxWaitingPerOwner: table.maxQueueSize || table.maxQueueLength || defaultQueueSize,
    maxWaitMs: table.maxQueueWaitMs || undefined,
  });
  if (table.adaptive && limit instanceof Limit)
    adaptive.set(name, { name, limit, min: Math.max(1, table.minLimit), max: table.maxLimit });
  return { limit, configKey };
}

/** Two concurrent ones would only slow each other down. */
const REPLICATE = '/gitaly.RepositoryService/ReplicateRepository';

/** As for tables without `unauthenticated`; all queues have a limit. */
const DEFAULT_QUEUE_SIZE = 500;

/** Name of a limit that is not in the configuration. */
const BUILT_IN = '(built in)';

/** Limits of calls by full method name, and those among them that follow the load. */
export interface ConfiguredLimits {
  readonly byMethod: ReadonlyMap<string, MethodLimits>;
  readonly adaptive: readonly AdaptiveLimit[];
}

/**
 * Returns the limits of `[[concurrency]]` and `[[rate_limiting]]`. In each of them the last entry
 * of a method counts.
 */
export function methodLimits(
  { concurrency, rateLimiting }: GitalyConfig,
  make: LimitFactory,
): ConfiguredLimits {
  const oneAtATime = make.keyed(BUILT_IN, { capacityPerOwner: 1 });
  const byMethod = new Map<string, MethodLimits>([
    [REPLICATE, { authenticated: { limit: oneAtATime, configKey: BUILT_IN }, unauthenticated: undefined }],
  ]);
  const adaptive = new Map<string, AdaptiveLimit>();
  const shared = { make, adaptive, defaultQueueSize: DEFAULT_QUEUE_SIZE };
  for (const [index, { rpc, unauthenticated, ...limit }] of concurrency.entries()) {
    const key = `concurrency[${index}]`;
    byMethod.set(rpc, {
      authenticated: configuredLimit(limit, { ...shared, name: `perRPC${rpc}`, configKey: key }),
      unauthenticated: configuredLimit(unauthenticated, {
        ...shared,
        name: `perRPC${rpc}-unauthenticated`,
        configKey: `${key}.unauthenticated`,
      }),
    });
  }
  for (const [index, { rpc, burst, intervalMs }] of rateLimiting.entries()) {
    const { authenticated, unauthenticated } = byMethod.get(rpc) ?? {};
    const configKey = `rate_limiting[${index}]`;
    const buckets = intervalMs > 0 ? make.buckets(configKey, { burst, intervalMs }) : undefined;
    const rate = buckets && { buckets, configKey };
    byMethod.set(rpc, { rate, authenticated, unauthenticated });
  }
  return { byMethod, adaptive: [...adaptive.values()] };
}

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
