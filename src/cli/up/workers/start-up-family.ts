import type { HttpLimits } from '#gateway/http/limits/http-limits';
import type { Logger } from '#gitaly/index';
import type { Supervising } from '#workers/family';
import { pack } from '#workers/pack-values';
import { allowedProcesses, firstProcessLogger, startFamily } from '#workers/start-family';
import type { UpGreeting } from './greeting.ts';
import { GatewaySupervisor, type SharedByGateways, sharedByGateways } from './share-gateways.ts';

/** The further processes of `gitaly-ts up`, before its start. */
export interface UpWorkers {
  readonly shared: SharedByGateways;
  /** Makes the supervisor, which starts processes while the server is busy. */
  start(greeting: Omit<UpGreeting, 'worker'>): UpFamily;
}

/** The further processes of `gitaly-ts up`. */
export interface UpFamily {
  readonly family: Supervising;
  readonly gateways: GatewaySupervisor;
  readonly logger: Logger;
}

/**
 * Prepares further processes. Returns `undefined` if there can be none.
 *
 * @param configured `--workers`.
 * @param limits those of the HTTP gateway that are not the default.
 */
export function prepareWorkers(
  configured: number | 'auto',
  log: Logger,
  limits: Partial<HttpLimits>,
): UpWorkers | undefined {
  const processes = allowedProcesses(configured, { logger: log });
  if (processes === 1) return undefined;
  const logger = firstProcessLogger(log, configured);
  const shared = sharedByGateways(limits);
  return {
    shared,
    start: (greeting) => {
      const family = startFamily({
        processes,
        logger,
        log: { hasWorkers: false }, // standard error, to which each line is written at once
        greeting: (worker) => pack({ ...greeting, worker } satisfies UpGreeting),
      });
      return { family, logger, gateways: new GatewaySupervisor(family, shared) };
    },
  };
}
