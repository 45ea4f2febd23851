import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { residentMb } from './lib/process-usage.ts';

/** What is left over from starting (compiled code, garbage) is what an idle server keeps; it has settled by then. */
const SETTLE_MS = 1000;

/** How long from starting the program until it takes connections, and how large is it then? */
export const bench: Bench = {
  name: 'start-up',
  question: 'time to ready, and memory of an idle server',
  async *run(workshop) {
    const samples = await takeTurns(workshop.quick ? 3 : 7, {
      server: async () => {
        const server = await workshop.server();
        await delay(SETTLE_MS);
        const residentNowMb = residentMb(server.pid).now;
        await server.stop();
        return { readyMs: server.readyMs, residentNowMb };
      },
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
      goal: { of: 'value', atMost: 110 },
    };
  },
};

/** Tells how busy the machine is: 25 ms when it is not. */
async function bareNode(): Promise<void> {
  await once(spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }), 'exit');
}
