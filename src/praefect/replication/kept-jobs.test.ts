import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { lineLogger } from '#testkit/line-logger';
import type { Database } from '../database/database.ts';
import type { DequeuedJob } from '../model/job.ts';
import { PostgresQueue } from './postgres-queue.ts';

/** Keeps a job in a database whose updates the test ends. */
function keep(context: TestContext) {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { lines, logger } = lineLogger();
  const updates: PromiseWithResolvers<number>[] = [];
  const run = (): Promise<number> => {
    const update = Promise.withResolvers<number>();
    updates.push(update);
    return update.promise;
  };
  // All that the queue uses to keep jobs.
  const queue = new PostgresQueue({ run } as unknown as Database, logger);
  return { kept: queue.keep([{ id: 1 } as DequeuedJob]), lines, updates };
}

test('jobs that run are kept every five seconds, until they end', async (context) => {
  const { kept, updates } = keep(context);
  context.mock.timers.tick(4999);
  assert.equal(updates.length, 0);
  context.mock.timers.tick(1);
  assert.equal(updates.length, 1);

  context.mock.timers.tick(15_000);
  assert.equal(updates.length, 1, 'the database is slow');
  updates[0]?.resolve(1);
  await turn();
  context.mock.timers.tick(5000);
  assert.equal(updates.length, 2);

  let hasEnded = false;
  const ending = kept[Symbol.asyncDispose]().then(() => {
    hasEnded = true;
  });
  await turn();
  assert.equal(hasEnded, false, 'no update comes after the end');
  updates[1]?.resolve(1);
  await ending;
  context.mock.timers.tick(60_000);
  assert.equal(updates.length, 2);
});

test('jobs that cannot be kept are logged, and kept later', async (context) => {
  const { kept, lines, updates } = keep(context);
  context.mock.timers.tick(5000);
  updates[0]?.reject(new Error('no database'));
  await turn();

  assert.deepEqual(
    lines.map(({ error, level, msg }) => [level, msg, error]),
    [['error', 'replication event processing health update failed', 'no database']],
  );
  context.mock.timers.tick(5000);
  assert.equal(updates.length, 2);
  updates[1]?.resolve(1);
  await kept[Symbol.asyncDispose]();
});
