import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import { configuredLimit } from './configured-limit.ts';
import type { LimitFactory } from './limit-factory.ts';

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
  const oneAtATime = make.keyed(BUILT_IN, { maxConcurrency: 1, maxQueueSize: 0, maxWaitMs: 0 });
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
