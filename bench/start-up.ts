import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { residentMb } from './lib/process-usage.ts';
import type { ServerProcess } from './lib/server-process.ts';

/**
 * Time after which an idle server has returned the leftovers of its start (compiled code, garbage)
 * to the system; it keeps the rest.
 */
const SETTLE_MS = 6000;
const IDLE_GOAL = { of: 'value', atMost: 100 } as const;

/**
 * Measures the time from the start of the program until it accepts connections, its memory when it
 * is idle, and the time of a stop.
 */
export const bench: Bench = {
  name: 'start-up',
  question: 'time to ready, memory of an idle server, time of a stop',
  async *run(workshop) {
    const samples = await takeTurns(workshop.quick ? 3 : 7, {
      server: async () => await lifeOf(await workshop.server()),
      up: async () => await lifeOf(await workshop.gateway()),
      node: () => timed(bareNode),
    });
    yield {
      name: 'time to ready',
      value: median(samples.server.map(({ readyMs }) => readyMs)),
      unit: 'ms',
      reference: { name: 'node, from start to end', value: median(samples.node) },
      goal: { of: 'value', atMost: 500 },
    };
    yield {
      name: 'idle, resident',
      value: median(samples.server.map(({ residentNowMb }) => residentNowMb)),
      unit: 'MB',
      goal: IDLE_GOAL,
    };
    yield {
      name: 'idle, resident, gitaly-ts up',
      value: median(samples.up.map(({ residentNowMb }) => residentNowMb)),
      unit: 'MB',
      goal: IDLE_GOAL,
    };
    yield {
      name: 'stop of an idle gitaly-ts up',
      value: median(samples.up.map(({ stopMs }) => stopMs)),
      unit: 'ms',
      goal: { of: 'value', atMost: 100 },
    };
  },
};

/** Waits until a server is settled, and stops it. */
async function lifeOf(server: ServerProcess) {
  await delay(SETTLE_MS);
  const residentNowMb = residentMb(server.pid).now;
  return { readyMs: server.readyMs, residentNowMb, stopMs: await timed(() => server.stop()) };
}

/** Starts Node alone, which shows how busy the machine is: 25 ms when it is idle. */
async function bareNode(): Promise<void> {
  await once(spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }), 'exit');
}
