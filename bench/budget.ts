import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BUDGETED,
  type BudgetedCall,
  type BudgetedName,
  type BudgetRepository,
  budgetedCalls,
  makeBudgetRepository,
  NEEDS_COMMITS,
} from '../test/call-budget/calls.ts';
import type { Bench } from './lib/bench.ts';
import { type CpuTime, cpuTime, mainThreadMs } from './lib/process-usage.ts';
import { partsOf } from './lib/profile-parts.ts';
import { runProgram } from './lib/run-program.ts';
import type { ServerProcess } from './lib/server-process.ts';
import type { Workshop } from './lib/workshop.ts';

/** Time in which the engine compiles what runs often. */
const WARM_UP_MS = 1500;
const WINDOW_MS = 2500;
const QUICK_MS = 600;
/** Number of calls of a kind that needs commits of its own. */
const MOST_CALLS = 800;
const SAMPLING_US = 200;

/**
 * Measures the CPU time of the calls of docs/budget.md, one at a time, and its parts: shares of
 * samples of the server's main thread, of a second server that the engine profiles.
 */
export const bench: Bench = {
  name: 'budget',
  question: 'CPU of calls by part: socket, HTTP/2, messages, interceptors, log, metrics, handler, git',
  async *run(workshop) {
    const template = join(workshop.directory, 'template.git');
    const made = makeBudgetRepository(template, MOST_CALLS);
    const measure = (name: BudgetedName, profile?: string): Promise<Cost> =>
      measureOn({ workshop, template, made }, name, profile);
    for (const name of BUDGETED) {
      const plain = await measure(name);
      const directory = mkdtempSync(join(workshop.directory, 'profile-'));
      const profiled = await measure(name, directory);
      const [file = ''] = readdirSync(directory);
      const shares = partsOf(JSON.parse(readFileSync(join(directory, file), 'utf8')), profiled.window);
      rmSync(directory, { recursive: true });
      const parts = [...shares].map(([part, share]) => `${part} ${Math.round(plain.mainUs * share)}`);
      yield {
        name,
        value: plain.mainUs + plain.threadsUs + plain.gitUs,
        unit: 'us of CPU',
        note: [
          ...parts,
          `other threads ${Math.round(plain.threadsUs)}`,
          `git ${Math.round(plain.gitUs)}`,
        ].join(', '),
      };
    }
  },
};

interface Cost {
  /** Of the main thread, per call. */
  readonly mainUs: number;
  readonly threadsUs: number;
  readonly gitUs: number;
  /** Begin and end of the calls, on the clock of profiles, in microseconds. */
  readonly window: readonly [number, number];
}

/** Makes one kind of calls on a new server. @param profile directory for its profile */
async function measureOn(
  { workshop, template, made }: { workshop: Workshop; template: string; made: BudgetRepository },
  name: BudgetedName,
  profile: string | undefined,
): Promise<Cost> {
  const relativePath = `${name.replaceAll(' ', '-')}${profile === undefined ? '' : '-profiled'}.git`;
  const env = {
    NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile} --cpu-prof-interval=${SAMPLING_US}`,
  };
  const server = await workshop.server(
    '[housekeeping]\nautomatic = false\n',
    profile === undefined ? {} : { env, fromSource: true },
  );
  await runProgram('cp', ['-a', template, join(workshop.storage, relativePath)]);
  await using budgeted = await budgetedCalls(`unix:${server.socket}`, made, relativePath);
  const call = budgeted.calls[name];
  const [warmUpMs, windowMs] = workshop.quick ? [QUICK_MS, QUICK_MS] : [WARM_UP_MS, WINDOW_MS];
  const most = NEEDS_COMMITS.has(name) ? MOST_CALLS / 2 : Number.POSITIVE_INFINITY;
  await callFor(call, warmUpMs, most);
  const begin = microseconds();
  const before = timesOf(server);
  const count = await callFor(call, windowMs, most);
  const after = timesOf(server);
  const window = [begin, microseconds()] as const;
  await sleep(10);
  await server.stop();
  const us = (key: keyof Times): number => ((after[key] - before[key]) * 1000) / count;
  return { mainUs: us('mainMs'), threadsUs: us('ownMs') - us('mainMs'), gitUs: us('childrenMs'), window };
}

interface Times extends CpuTime {
  readonly mainMs: number;
}

/** Returns CPU times of a server; those of its children include the running ones. */
function timesOf({ pid }: ServerProcess): Times {
  const mainMs = mainThreadMs(pid);
  const { ownMs, childrenMs } = cpuTime(pid);
  const running = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
  const runningMs = running.map((child) => cpuTime(Number(child)).ownMs);
  return { mainMs, ownMs, childrenMs: childrenMs + runningMs.reduce((sum, ms) => sum + ms, 0) };
}

/** Makes calls one after another, and returns their number. */
async function callFor(call: BudgetedCall, ms: number, most: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  for (; performance.now() < end && count < most; count++) await call();
  return count;
}

/** Returns the time of the monotonic clock, which profiles use. */
function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
