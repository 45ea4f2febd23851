import type { GitalyConfig } from '#platform/config/load-config';
import { type AdaptiveLimit, AdaptiveLimits } from '#platform/load/adaptive-limits';
import { loadConditions } from '#platform/load/conditions';
import { startLoadSampler } from '#platform/load/load-sampler';
import type { Logger } from '#platform/log/logger';
import type { AdaptiveLimitMetrics } from '#platform/metrics/adaptive-limit-metrics';

/** Adapts limits to the load until it is disposed. Without such limits nothing is measured. */
export function startAdaptiveLimits(
  { adaptiveLimiting, cgroups }: GitalyConfig,
  limits: readonly AdaptiveLimit[],
  {
    metrics,
    logger,
    groupDirectories,
  }: {
    readonly metrics: AdaptiveLimitMetrics;
    readonly logger: Logger;
    /** Directories of the control group of the git processes, if they have one. */
    readonly groupDirectories: readonly string[] | undefined;
  },
): Disposable | undefined {
  if (limits.length === 0) return undefined;
  const stack = new DisposableStack();
  const sampler = stack.use(startLoadSampler({ mountpoint: cgroups.mountpoint, groupDirectories }));
  const conditions = loadConditions(adaptiveLimiting, logger);
  const sample = (): ReturnType<typeof sampler.sample> => sampler.sample();
  stack.use(new AdaptiveLimits({ limits, conditions, sample, metrics, logger })).start();
  return stack;
}
