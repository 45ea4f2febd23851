import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { LOOP } from '#platform/metrics/loop-metrics';
import { BlockedCalls } from '#rpc/server/blocked-calls';
import { isTracked } from './load-shedder.ts';
import type { ServerMetrics } from './metrics.ts';
import { runningCall } from './running-call.ts';
import type { CallCost, RunningCalls } from './running-calls.ts';

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

/** Interval of Gitaly's burden monitor. */
const INTERVAL_MS = 5 * 60 * 1000;
const LISTED = 10;

/**
 * Logs the reading calls that cost the most, by processor time and by memory, every five minutes
 * until it is disposed. A server without such calls logs nothing.
 */
function startBurdenLog(calls: RunningCalls, logger: Logger): Disposable {
  const timer = setInterval(() => void logBurden(calls, logger), INTERVAL_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Writes one line with the fields of Gitaly's. Never rejects. */
export async function logBurden(calls: RunningCalls, logger: Logger): Promise<void> {
  try {
    const costs = await calls.costs(isTracked);
    if (costs.length === 0) return;
    const fields = {
      ...fieldsOf(
        'top_cpu',
        costs.toSorted((a, b) => b.cpuMs - a.cpuMs),
      ),
      ...fieldsOf(
        'top_memory',
        costs.toSorted((a, b) => b.memoryBytes - a.memoryBytes),
      ),
    };
    logger.info(fields, 'burden monitor stats');
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'could not measure the costs of the running calls');
  }
}

function fieldsOf(prefix: string, costs: readonly CallCost[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [index, cost] of costs.slice(0, LISTED).entries()) {
    const name = `${prefix}_${index + 1}`;
    fields[`${name}.rpc`] = `${cost.call.method.service}/${cost.call.method.name}`;
    fields[`${name}.repository`] = cost.repository;
    fields[`${name}.total_cpu_ms`] = Math.round(cost.cpuMs);
    fields[`${name}.total_memory_bytes`] = cost.memoryBytes;
    fields[`${name}.active_commands`] = cost.processes.length;
    for (const [at, process] of cost.processes.toSorted((a, b) => b.cpuMs - a.cpuMs).entries()) {
      const command = `${name}.command_${at + 1}`;
      fields[`${command}.name`] = process.command;
      fields[`${command}.pid`] = process.pid;
      fields[`${command}.cpu_ms`] = Math.round(process.cpuMs);
      fields[`${command}.memory_bytes`] = process.memoryBytes;
      fields[`${command}.wall_time_ms`] = Math.round(process.ageMs);
    }
  }
  return fields;
}
