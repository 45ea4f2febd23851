import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BudgetedCall,
  type BudgetedName,
  type BudgetRepository,
  budgetedCalls,
  makeBudgetRepository,
} from '../test/call-budget/calls.ts';
import { type Bench, quantile, takeTurns } from './lib/bench.ts';
import { runProgram } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

const CALLS = ['UserMergeBranch', 'UserCommitFiles', 'FindCommit'] as const satisfies readonly BudgetedName[];
const REPOSITORIES = 3;
const MERGES = 1500;
const ROUNDS = 10;
/** A repository waits ten seconds for a busy host: its maintenance begins as its next turn does. */
const WINDOW_MS = Number(process.env.WINDOW_SECONDS ?? 6) * 1000;

/** Milliseconds of each call. */
type Latencies = Readonly<Record<(typeof CALLS)[number], number[]>>;

/**
 * Measures the slowest calls of a server that maintains its repositories by itself, compared with
 * one that does not. Each repository gets merges and commits one after another, while it is read.
 * A second server without maintenance shows how far equal ones differ.
 */
export const bench: Bench = {
  name: 'quiet-maintenance',
  question: 'p99 of merges, commits and reads with automatic maintenance, against the same without',
  async *run(workshop) {
    const made = makeBudgetRepository(join(workshop.directory, 'template.git'), MERGES);
    const on = await callers(workshop, made, 'on');
    const off = await callers(workshop, made, 'off');
    const control = await callers(workshop, made, 'control');
    await using _on = on;
    await using _off = off;
    await using _control = control;
    const [rounds, windowMs] = workshop.quick ? [2, 2000] : [ROUNDS, WINDOW_MS];
    const most = Math.floor(MERGES / (rounds + 1));
    const turn = (servers: typeof on, ms: number) => () => drive(servers.calls, ms, most);
    const turns = (ms: number) => ({ on: turn(on, ms), off: turn(off, ms), control: turn(control, ms) });
    await takeTurns(1, turns(1000));
    const samples = await takeTurns(rounds, turns(windowMs));
    const begun = readFileSync(join(workshop.directory, 'gitaly.log'), 'latin1').split(
      'beginning scheduled housekeeping',
    ).length;
    for (const name of CALLS) {
      const p99 = (side: keyof typeof samples): number =>
        quantile(
          samples[side].flatMap((latencies) => latencies[name]),
          0.99,
        );
      const reference = { name: 'without maintenance', value: p99('off') };
      yield {
        name: `${name}, p99`,
        value: p99('on'),
        unit: 'ms',
        reference,
        goal: { of: 'ratio', atMost: 1.15 },
        note: `maintenance began ${begun - 1} times`,
      };
      yield {
        name: `${name}, p99, control without maintenance`,
        value: p99('control'),
        unit: 'ms',
        reference,
      };
    }
  },
};

/** Starts a server on its own copies of the repository. */
async function callers(workshop: Workshop, made: BudgetRepository, name: 'on' | 'off' | 'control') {
  const server = await workshop.server(`[housekeeping]\nautomatic = ${name === 'on'}\n`);
  const stack = new AsyncDisposableStack();
  const calls: Readonly<Record<BudgetedName, BudgetedCall>>[] = [];
  for (let number = 0; number < REPOSITORIES; number++) {
    const relativePath = `${name}-${number}.git`;
    await runProgram('cp', [
      '-a',
      join(workshop.directory, 'template.git'),
      join(workshop.storage, relativePath),
    ]);
    calls.push(stack.use(await budgetedCalls(`unix:${server.socket}`, made, relativePath)).calls);
  }
  return { calls, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Makes calls on all repositories for a time. @param most merges of each repository */
async function drive(
  repositories: readonly Readonly<Record<BudgetedName, BudgetedCall>>[],
  windowMs: number,
  most: number,
): Promise<Latencies> {
  const latencies: Latencies = { UserMergeBranch: [], UserCommitFiles: [], FindCommit: [] };
  const end = performance.now() + windowMs;
  const client = async (call: BudgetedCall, name: (typeof CALLS)[number]): Promise<void> => {
    const limit = name === 'UserMergeBranch' ? most : Number.POSITIVE_INFINITY;
    for (let count = 0; performance.now() < end && count < limit; count++) {
      const begun = performance.now();
      await call();
      latencies[name].push(performance.now() - begun);
    }
  };
  await Promise.all(repositories.flatMap((calls) => CALLS.map((name) => client(calls[name], name))));
  return latencies;
}
