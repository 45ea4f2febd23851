import { availableParallelism } from 'node:os';
import type { LoadSensor } from '#domain/housekeeping/schedule/quiet/quiet-wait';
import { hostCpuPressure } from '#platform/load/cpu-pressure';
import { type EventLoopDelay, startEventLoopDelay } from '#platform/load/event-loop-delay';
import type { RunningCalls } from './running-calls.ts';

/** Running calls per CPU from which on the host counts as busy. */
const BUSY_CALLS_PER_CPU = 2;

/** Returns the sensor of the load that automatic maintenance avoids. */
export function loadSensor(calls: RunningCalls): LoadSensor {
  let delay: EventLoopDelay | undefined;
  return {
    start() {
      const started = startEventLoopDelay();
      delay = started;
      return started;
    },
    async read() {
      const cpuPressure = await hostCpuPressure();
      const eventLoopDelayMs = delay?.read() ?? 0;
      const running = calls.list();
      const targets = running.flatMap((call) => call.targets?.repository ?? []);
      const busyCalls = BUSY_CALLS_PER_CPU * availableParallelism();
      return { targets, host: { calls: running.length, busyCalls, eventLoopDelayMs, cpuPressure } };
    },
  };
}
