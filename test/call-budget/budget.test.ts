import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonAgainstTracing } from '#testkit/measure/strace';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { type CallCost, parseBudget } from './budget-page.ts';
import { BUDGETED, type BudgetedCalls, budgetedCalls, makeBudgetRepository } from './calls.ts';
import { countSystemCalls, type SystemCallCounts } from './count-system-calls.ts';

const BUDGET = parseBudget(readFileSync(join(import.meta.dirname, '../../docs/budget.md'), 'utf8'));
const CPU_CLOCK = join(import.meta.dirname, 'cpu-clock.ts');
/** Calls that fill the caches and start the processes that wait for work. */
const WARM_UP_CALLS = 12;
const MEASURED_CALLS = 8;
/** A busy machine adds system calls, never takes some away: the least of these counts. */
const MEASUREMENTS = 3;
/** Files that were just written are read at each call, until their time stamps are this old. */
const SETTLED_AFTER_MS = 3000;
/** System calls that are not of the calls: timers, measurements of processes. */
const OTHER_CALLS = 2;
/** Reads and writes of streams are more or fewer, as threads and processes take turns. */
const TOLERANCE = 1.05;
/** git's system calls depend on its version and its libraries. */
const GIT_TOLERANCE = 1.5;

const tracing = reasonAgainstTracing();

test('docs/budget.md has a row for each call', () => {
  assert.deepEqual([...BUDGET.keys()], [...BUDGETED]);
});

suite('what a warm call costs', () => {
  let gitaly: GitalyProcess;
  let budgeted: BudgetedCalls;
  let noted: NotedGit;
  before(async () => {
    noted = notedGit();
    const config = `[git]\nbin_path = "${noted.program}"\n`;
    gitaly = await startGitalyProcess({ config, fromSource: true, preload: CPU_CLOCK });
    budgeted = await callsOn(gitaly);
    for (const name of BUDGETED)
      for (let call = 0; call < WARM_UP_CALLS; call++) await budgeted.calls[name]();
  });
  after(async () => {
    await budgeted[Symbol.asyncDispose]();
    await gitaly[Symbol.asyncDispose]();
    noted.remove();
  });

  for (const name of BUDGETED) {
    const limit = BUDGET.get(name);
    const most = Math.min(1, limit?.processes ?? 0);
    test(`${name}: the server starts ${most === 0 ? 'no git' : 'one git'}`, async () => {
      await budgeted.calls[name](); // the first one after another change
      const before = noted.commands().length;
      await budgeted.calls[name]();
      const commands = noted.commands().slice(before);
      assert.equal(commands.length, most, commands.join('\n'));
    });

    test(`${name}: system calls, processes and flushes`, {
      skip: tracing ?? false,
    }, async (context) => {
      assert.ok(limit !== undefined);
      const allowed = limit.ofServer * TOLERANCE + OTHER_CALLS;
      const measure = async (): Promise<CallCost> => {
        const counts = await countSystemCalls(gitaly.pid, async () => {
          for (let call = 0; call < MEASURED_CALLS; call++) await budgeted.calls[name]();
        });
        const names = [...counts.byName].sort(([, a], [, b]) => b - a);
        const cost = costOfOne(counts);
        context.diagnostic(`${JSON.stringify(cost)} ${names.map((each) => each.join(' ')).join(', ')}`);
        return cost;
      };
      let cost = await measure();
      for (let again = 1; again < MEASUREMENTS && cost.ofServer > allowed; again++) cost = await measure();
      assert.ok(cost.ofServer <= allowed, `${cost.ofServer} system calls of the server`);
      assert.ok(cost.ofGit <= limit.ofGit * GIT_TOLERANCE + OTHER_CALLS, `${cost.ofGit} system calls of git`);
      assert.deepEqual([cost.processes, cost.flushes], [limit.processes, limit.flushes]);
    });
  }
});

/** Creates a repository, and waits until its files are old enough to be cached. */
async function callsOn({ address, directory }: GitalyProcess): Promise<BudgetedCalls> {
  const relativePath = 'budget.git';
  const most = WARM_UP_CALLS + MEASUREMENTS * MEASURED_CALLS + 2;
  const made = makeBudgetRepository(join(directory, 'default', relativePath), most);
  const budgeted = await budgetedCalls(address, made, relativePath);
  await sleep(SETTLED_AFTER_MS);
  return budgeted;
}

function costOfOne({ ofServer, ofGit, processes, flushes }: SystemCallCounts): CallCost {
  const each = (count: number): number => Math.round((count * 10) / MEASURED_CALLS) / 10;
  return { ofServer: each(ofServer), ofGit: each(ofGit), processes: each(processes), flushes: each(flushes) };
}

interface NotedGit {
  /** A git that notes its arguments. */
  readonly program: string;
  commands(): string[];
  remove(): void;
}

function notedGit(): NotedGit {
  const directory = makeScratchDirectory('noted-git');
  mkdirSync(directory, { recursive: true });
  const [program, log] = [join(directory, 'git'), join(directory, 'log')];
  writeFileSync(program, `#!/bin/sh\necho "$*" >> '${log}'\nexec git "$@"\n`);
  chmodSync(program, 0o755);
  writeFileSync(log, '');
  return {
    program,
    commands: () => readFileSync(log, 'utf8').split('\n').slice(0, -1),
    remove: () => rmSync(directory, { recursive: true }),
  };
}
