import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonAgainstTracing } from '#testkit/measure/strace';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { type BudgetedName, type BudgetRepository, budgetedCalls, makeBudgetRepository } from './calls.ts';
import { countSystemCalls, type SystemCallCounts } from './count-system-calls.ts';

const CPU_CLOCK = join(import.meta.dirname, 'cpu-clock.ts');
const WARM_UP_CALLS = 12;
/** Of one measurement: few, so that some measurement meets nothing else of the server. */
const MEASURED_CALLS = 2;
/**
 * Measurements of each server. A busy machine adds system calls, never takes some away: the least
 * of these counts.
 */
const MEASUREMENTS = { withoutFeed: 5, withFeed: 15 };
/** Files that were just written are read at each call, until their time stamps are this old. */
const SETTLED_AFTER_MS = 3000;
/** Of the server, by call. docs/budget.md names them. */
const ADDED_CALLS = new Map<BudgetedName, number>([
  ['WriteRef', 11],
  ['push of one commit', 16],
]);
/** Reads and writes of streams are more or fewer, as threads and processes take turns. */
const TOLERANCE = 5;

const skip = reasonAgainstTracing() ?? false;

function least(one: SystemCallCounts, other: SystemCallCounts): SystemCallCounts {
  return other.ofServer < one.ofServer ? other : one;
}

/** A server with a repository for each call. */
interface WarmServer extends AsyncDisposable {
  /** Makes calls, each in the repository of its name. */
  warmUp(name: BudgetedName): Promise<void>;
  /** Counts some calls. */
  measure(name: BudgetedName): Promise<SystemCallCounts>;
}

/** @param path of the repository, of which each call gets a copy */
async function startWarm(config: string, made: BudgetRepository, path: string): Promise<WarmServer> {
  await using building = new AsyncDisposableStack();
  const gitaly = building.use(await startGitalyProcess({ config, fromSource: true, preload: CPU_CLOCK }));
  const calls = new Map<BudgetedName, () => Promise<void>>();
  for (const [index, name] of [...ADDED_CALLS.keys()].entries()) {
    const relativePath = `budget-${index}.git`;
    cpSync(path, join(gitaly.directory, 'default', relativePath), { recursive: true });
    const budgeted = building.use(await budgetedCalls(gitaly.address, made, relativePath));
    calls.set(name, budgeted.calls[name]);
  }
  const some = async (name: BudgetedName, count: number): Promise<void> => {
    for (let call = 0; call < count; call++) await calls.get(name)?.();
  };
  const resources = building.move();
  return {
    warmUp: (name) => some(name, WARM_UP_CALLS),
    async measure(name) {
      return await countSystemCalls(gitaly.pid, () => some(name, MEASURED_CALLS));
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

suite('what the change feed adds to a warm call', { skip }, () => {
  const resources = new AsyncDisposableStack();
  let without: WarmServer;
  let withFeed: WarmServer;

  before(async () => {
    const directory = makeScratchDirectory('feed-budget');
    resources.defer(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'budget.git');
    const made = makeBudgetRepository(path, WARM_UP_CALLS + MEASUREMENTS.withFeed * MEASURED_CALLS);
    without = resources.use(await startWarm('', made, path));
    withFeed = resources.use(await startWarm('[events]\nenabled = true\n', made, path));
    await sleep(SETTLED_AFTER_MS);
  });
  after(() => resources.disposeAsync());

  for (const [name, limit] of ADDED_CALLS)
    test(name, async (context) => {
      await without.warmUp(name);
      await withFeed.warmUp(name);
      let off = await without.measure(name);
      for (let again = 1; again < MEASUREMENTS.withoutFeed; again++)
        off = least(off, await without.measure(name));
      let on = await withFeed.measure(name);
      const added = (count: (counts: SystemCallCounts) => number): number =>
        (count(on) - count(off)) / MEASURED_CALLS;
      const isMore = (): boolean => added(({ ofServer }) => ofServer) > limit + TOLERANCE;
      for (let again = 1; again < MEASUREMENTS.withFeed && isMore(); again++)
        on = least(on, await withFeed.measure(name));
      const byName = [...on.byName.keys()].map(
        (key) => `${key} ${added((each) => each.byName.get(key) ?? 0)}`,
      );
      context.diagnostic(byName.join(', '));

      const calls = added(({ ofServer }) => ofServer);
      assert.ok(calls <= limit + TOLERANCE, `${calls} system calls of the server`);
      assert.equal(
        added(({ processes }) => processes),
        0,
        'processes',
      );
      // The journal is flushed by itself, five times a second.
      const flushes = added((counts) => counts.flushes - (counts.byName.get('fdatasync') ?? 0));
      assert.equal(flushes, 0, 'flushes that a call waits for');
    });
});
