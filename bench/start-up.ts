import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, median } from './lib/bench.ts';
import { residentMb } from './lib/process-usage.ts';

/** What is left over from starting (compiled code, garbage) is what an idle server keeps; it has settled by then. */
const SETTLE_MS = 1000;

/** How long from starting the program until it takes connections, and how large is it then? */
export const bench: Bench = {
  name: 'start-up',
  question: 'time to ready, and memory of an idle server',
  async *run(workshop) {
    const readyMs: number[] = [];
    const residents: number[] = [];
    for (let round = 0; round < (workshop.quick ? 3 : 7); round++) {
      const server = await workshop.server();
      readyMs.push(server.readyMs);
      await delay(SETTLE_MS);
      residents.push(residentMb(server.pid).now);
      await server.stop();
    }
    yield { name: 'time to ready', value: median(readyMs), unit: 'ms', goal: { of: 'value', atMost: 500 } };
    yield { name: 'idle, resident', value: median(residents), unit: 'MB', goal: { of: 'value', atMost: 110 } };
  },
};
