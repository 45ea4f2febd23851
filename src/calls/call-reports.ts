import type { Logger } from '#platform/log/logger';
import { LOOP } from '#platform/metrics/loop-metrics';
import { BlockedCalls } from '#rpc/server/blocked-calls';
import { startBurdenLog } from './burden-log.ts';
import type { ServerMetrics } from './metrics.ts';
import { runningCall } from './running-call.ts';
import type { RunningCalls } from './running-calls.ts';

/** Reports costly calls, and those that block the event loop, until it is disposed. */
export function startCallReports(
  calls: RunningCalls,
  { registry }: Pick<ServerMetrics, 'registry'>,
  logger: Logger,
): Pick<BlockedCalls, 'last'> & Disposable {
  const burden = startBurdenLog(calls, logger);
  const blocked = new BlockedCalls({
    logger,
    metrics: registry.declare(LOOP),
    current: runningCall,
    running: () => calls.list(),
  });
  return {
    get last() {
      return blocked.last;
    },
    [Symbol.dispose]() {
      burden[Symbol.dispose]();
      blocked[Symbol.dispose]();
    },
  };
}
