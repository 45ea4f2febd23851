import { startLoadShedder } from '#calls/load-shedder';
import type { PackLimits } from '#domain/pack-objects/pack-limits';
import type { GitalyConfig } from '#platform/config/load-config';
import { type AdaptiveLimit, AdaptiveLimits } from '#platform/load/adaptive-limits';
import { loadConditions } from '#platform/load/conditions';
import { startLoadSampler } from '#platform/load/load-sampler';
import type { Logger } from '#platform/log/logger';
import type { AdaptiveLimitMetrics } from '#platform/metrics/adaptive-limit-metrics';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { ServerCall } from '#rpc/server/server-call';
import { sheddingSharing } from '../family/shared-shedding.ts';
import type { Foundation } from '../foundation.ts';
import { methodLimits, packLimits } from './configured-limits.ts';
import { limitFactory } from './limit-factory.ts';

/** The configured limits of a server. */
export interface Limits {
  /** Limits of calls by full method name. */
  readonly byMethod: ReadonlyMap<string, MethodLimits>;
  readonly packs: PackLimits;
  /** Called when a call begins to wait for a limit. @returns what to call when it no longer waits. */
  readonly onWait: (call: ServerCall, configKey: string) => () => void;
}

/** Creates the limits, and starts adapting them to the load. `resources` stops this. */
export function createLimits(
  { calls, config, family, groups, logger, metrics, tracing }: Foundation,
  resources: AsyncDisposableStack,
): Limits {
  const onWait = (call: ServerCall, configKey: string): (() => void) => {
    const [onWaited, onTraced] = [calls.waits(call, configKey), tracing?.wait(call, configKey)];
    return () => {
      onWaited();
      onTraced?.();
    };
  };
  const make = limitFactory(family);
  const methods = methodLimits(config, make);
  const packs = packLimits(config, metrics.packs, onWait, make);
  const groupDirectories = groups?.parentDirectories;
  resources.use(
    startAdaptiveLimits(config, [...methods.adaptive, ...packs.adaptive], {
      metrics: metrics.adaptiveLimits,
      logger,
      groupDirectories,
    }),
  );
  const sharing = sheddingSharing(family);
  const { registry } = metrics;
  resources.use(startLoadShedder(config, { registry, calls, logger, groupDirectories, sharing }));
  return { byMethod: methods.byMethod, packs: packs.limits, onWait };
}

/** Adapts limits to the load until it is disposed. Without such limits nothing is measured. */
function startAdaptiveLimits(
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
