import { KeyedLimit } from '#base/limits/keyed-limit';
import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { ConcurrencyLimit, MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { LimitFactory } from './limit-factory.ts';

type ConfiguredLimit = GitalyConfig['concurrency'][number]['unauthenticated'];

/** Two concurrent ones would only slow each other down. */
const REPLICATE = '/gitaly.RepositoryService/ReplicateRepository';

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
  const oneAtATime = make.keyed(BUILT_IN, { maxConcurrency: 1, maxQueueSize: 0, maxWaitMs: 0 });
  const byMethod = new Map<string, MethodLimits>([
    [REPLICATE, { authenticated: { limit: oneAtATime, configKey: BUILT_IN }, unauthenticated: undefined }],
  ]);
  const adaptive = new Map<string, AdaptiveLimit>();
  const add = (name: string, limit: ConfiguredLimit, configKey: string): ConcurrencyLimit | undefined => {
    const built = limitOf(limit, configKey, make);
    adaptive.delete(name);
    if (limit.adaptive && built?.limit instanceof KeyedLimit)
      adaptive.set(name, { name, limit: built.limit, min: Math.max(1, limit.minLimit), max: limit.maxLimit });
    return built;
  };
  for (const [index, { rpc, unauthenticated, ...limit }] of concurrency.entries()) {
    const key = `concurrency[${index}]`;
    byMethod.set(rpc, {
      authenticated: add(`perRPC${rpc}`, limit, key),
      unauthenticated: add(`perRPC${rpc}-unauthenticated`, unauthenticated, `${key}.unauthenticated`),
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

/** As for tables without `unauthenticated`; all queues have a limit. */
const DEFAULT_QUEUE_SIZE = 500;

function limitOf(
  limit: ConfiguredLimit,
  configKey: string,
  make: LimitFactory,
): ConcurrencyLimit | undefined {
  const maxConcurrency = limit.adaptive ? limit.initialLimit : limit.maxConcurrency || limit.maxPerRepo;
  if (maxConcurrency <= 0) return undefined;
  const maxQueueSize = limit.maxQueueSize || limit.maxQueueLength || DEFAULT_QUEUE_SIZE;
  return {
    limit: make.keyed(configKey, { maxConcurrency, maxQueueSize, maxWaitMs: limit.maxQueueWaitMs }),
    configKey,
  };
}
