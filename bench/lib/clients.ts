import { setTimeout as delay } from 'node:timers/promises';
import { quantile } from './bench.ts';
import { treeTime } from './process-tree.ts';

/** Result of a window of calls, and its cost. */
export interface Window {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  /** Calls that failed. They do not count as calls. */
  readonly failed: number;
  /** CPU time per call of each process with its children, in milliseconds. */
  readonly cpuMs: readonly number[];
}

export interface ClientsOptions {
  /** Number of calls that a run of `call` makes. Default: 1. */
  readonly callsPerRun?: number;
  readonly clients: number;
  readonly windowMs: number;
  /** Shortest time between the starts of two runs of a client. Default: none. */
  readonly everyMs?: number;
  /** Processes whose CPU time is counted. */
  readonly pids: readonly number[];
}

/** After this many failures a window ends: something is wrong, and no figure helps. */
const MAX_FAILED = 1000;

/**
 * Lets clients make calls, each one after the other, until the time is over.
 *
 * @param call receives the number of the client.
 */
export async function runClients(
  call: (client: number) => Promise<void>,
  { callsPerRun = 1, clients, everyMs = 0, windowMs, pids }: ClientsOptions,
): Promise<Window> {
  const latencies: number[] = [];
  let failed = 0;
  const before = pids.map(treeTime);
  const start = performance.now();
  const runClient = async (_: unknown, client: number): Promise<void> => {
    for (let from = start; from < start + windowMs && failed < MAX_FAILED; ) {
      const isDone = await call(client).then(
        () => true,
        () => false,
      );
      const to = performance.now();
      if (isDone) latencies.push(to - from);
      else failed++;
      if (from + everyMs > to) await delay(from + everyMs - to);
      from = performance.now();
    }
  };
  await Promise.all(Array.from({ length: clients }, runClient));
  const seconds = (performance.now() - start) / 1000;
  const count = latencies.length * callsPerRun;
  return {
    callsPerSecond: count / seconds,
    p50Ms: quantile(latencies, 0.5),
    failed,
    cpuMs: pids.map((pid, index) => (treeTime(pid) - (before[index] ?? 0)) / count),
  };
}
