import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGitalyProcess } from '#testkit/start-gitaly-process';
import { reasonAgainstTracing } from '#testkit/strace';
import { type BudgetedName, budgetedCalls, makeBudgetRepository } from './calls.ts';
import { countSystemCalls, type SystemCallCounts } from './count-system-calls.ts';

const WARM_UP_CALLS = 12;
const MEASURED_CALLS = 8;
/** A busy machine adds system calls, never takes some away: the least of these counts. */
const MEASUREMENTS = 3;
/** Files that were just written are read at each call, until their time stamps are this old. */
const SETTLED_AFTER_MS = 3000;
/** Of the server, by call. docs/budget.md names them. */
const ADDED_CALLS = new Map<BudgetedName, number>([
  ['WriteRef', 18],
  ['push of one commit', 21],
]);
/** Reads and writes of streams are more or fewer, as threads and processes take turns. */
const TOLERANCE = 5;

const skip = reasonAgainstTracing() ?? false;

/** Counts a warm call of a server with a configuration. */
async function measured(name: BudgetedName, config: string): Promise<SystemCallCounts> {
  await using gitaly = await startGitalyProcess({ config, fromSource: true });
  const relativePath = 'budget.git';
  const most = WARM_UP_CALLS + MEASUREMENTS * MEASURED_CALLS;
  const made = makeBudgetRepository(join(gitaly.directory, 'default', relativePath), most);
  await using budgeted = await budgetedCalls(gitaly.address, made, relativePath);
  await sleep(SETTLED_AFTER_MS);
  const some = async (count: number): Promise<void> => {
    for (let call = 0; call < count; call++) await budgeted.calls[name]();
  };
  await some(WARM_UP_CALLS);
  let least: SystemCallCounts | undefined;
  for (let number = 0; number < MEASUREMENTS; number++) {
    const counts = await countSystemCalls(gitaly.pid, () => some(MEASURED_CALLS));
    if (least === undefined || counts.ofServer < least.ofServer) least = counts;
  }
  return least ?? assert.fail();
}

suite('what the change feed adds to a warm call', { skip }, () => {
  for (const [name, limit] of ADDED_CALLS)
    test(name, async (context) => {
      const off = await measured(name, '');
      const on = await measured(name, '[events]\nenabled = true\n');
      const added = (count: (counts: SystemCallCounts) => number): number =>
        (count(on) - count(off)) / MEASURED_CALLS;
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
