import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { namedRun, report, runNamed, runsOf } from './seeds.ts';

/** Runs by name, and a number of others of all scenarios, from the first seed on. */
export interface ChosenRuns {
  readonly names: readonly string[];
  readonly count: number;
  readonly first: number;
}

export interface SimulatedRuns {
  readonly runs: number;
  /** The first violation, with its last steps; empty without one. */
  readonly violation: string;
  readonly totals: Readonly<
    Record<'reads' | 'writes' | 'takeovers' | 'floors' | 'deletions' | 'zombies', number>
  >;
}

/**
 * Runs simulations in a thread of their own: node:test follows each promise of its thread, which
 * takes more time than the simulation itself.
 */
export async function simulate(chosen: ChosenRuns): Promise<SimulatedRuns> {
  const worker = new Worker(new URL(import.meta.url), { workerData: chosen });
  const [result] = await once(worker, 'message'); // an error of the thread rejects it
  return result;
}

async function runAll({ count, first, names }: ChosenRuns): Promise<SimulatedRuns> {
  const totals = { reads: 0, writes: 0, takeovers: 0, floors: 0, deletions: 0, zombies: 0 };
  let runs = 0;
  for (const run of [...names.map(namedRun), ...runsOf(count, first)]) {
    runs++;
    const { violation, counts } = await runNamed(run);
    if (violation !== undefined) return { runs, violation: await report(run), totals };
    totals.reads += counts.reads;
    totals.writes += counts.writes;
    totals.takeovers += counts.takeovers;
    totals.floors += counts.floors;
    totals.deletions += counts.deletions;
    totals.zombies += counts.zombies;
  }
  return { runs, violation: '', totals };
}

if (!isMainThread) parentPort?.postMessage(await runAll(workerData));
