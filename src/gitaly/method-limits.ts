import type { GitalyConfig } from '#platform/config/load-config';
import type { ConcurrencyLimit, MethodLimits } from '#rpc/server/interceptors/limit-concurrency';

type ConfiguredLimit = GitalyConfig['concurrency'][number]['unauthenticated'];

/** Two at once would only disturb each other. */
const REPLICATE = '/gitaly.RepositoryService/ReplicateRepository';
const ONE_AT_A_TIME: ConcurrencyLimit = {
  maxConcurrency: 1,
  maxQueueSize: 0,
  maxWaitMs: 0,
  configKey: '(built in)',
};

/** Returns the limits of `[[concurrency]]` by full method name. The last entry of a method counts. */
export function methodLimits({ concurrency }: GitalyConfig): ReadonlyMap<string, MethodLimits> {
  const limits = new Map<string, MethodLimits>([
    [REPLICATE, { authenticated: ONE_AT_A_TIME, unauthenticated: undefined }],
  ]);
  for (const [index, { rpc, unauthenticated, ...limit }] of concurrency.entries()) {
    const key = `concurrency[${index}]`;
    limits.set(rpc, {
      authenticated: limitOf(limit, key),
      unauthenticated: limitOf(unauthenticated, `${key}.unauthenticated`),
    });
  }
  return limits;
}

/** Adaptive limits stay at their first value. */
function limitOf(limit: ConfiguredLimit, configKey: string): ConcurrencyLimit | undefined {
  const maxConcurrency = limit.adaptive ? limit.initialLimit : limit.maxConcurrency || limit.maxPerRepo;
  if (maxConcurrency <= 0) return undefined;
  const maxQueueSize = limit.maxQueueSize || limit.maxQueueLength;
  return { maxConcurrency, maxQueueSize, maxWaitMs: limit.maxQueueWaitMs, configKey };
}
