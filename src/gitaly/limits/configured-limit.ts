import { type CallersLimit, KeyedLimit } from '#base/limits/keyed-limit';
import type { GitalyConfig } from '#platform/config/load-config';
import type { AdaptiveLimit } from '#platform/load/adaptive-limits';
import type { LimitFactory } from './limit-factory.ts';

export interface ConfiguredLimitOptions {
  /** Name in logs and metrics of a limit that follows the load. */
  readonly name: string;
  readonly configKey: string;
  readonly defaultQueueSize: number;
  readonly make: LimitFactory;
  /** Gets the limit if it follows the load, instead of an earlier one of that name. */
  readonly adaptive: Map<string, AdaptiveLimit>;
}

/** Makes a limit of the configuration. Returns `undefined` if its table sets none. */
export function configuredLimit(
  table: GitalyConfig['concurrency'][number]['unauthenticated'],
  { adaptive, configKey, defaultQueueSize, make, name }: ConfiguredLimitOptions,
): { readonly limit: CallersLimit; readonly configKey: string } | undefined {
  adaptive.delete(name);
  const maxConcurrency = table.adaptive ? table.initialLimit : table.maxConcurrency || table.maxPerRepo;
  if (maxConcurrency <= 0) return undefined;
  const maxQueueSize = table.maxQueueSize || table.maxQueueLength || defaultQueueSize;
  const limit = make.keyed(configKey, { maxConcurrency, maxQueueSize, maxWaitMs: table.maxQueueWaitMs });
  if (table.adaptive && limit instanceof KeyedLimit)
    adaptive.set(name, { name, limit, min: Math.max(1, table.minLimit), max: table.maxLimit });
  return { limit, configKey };
}
