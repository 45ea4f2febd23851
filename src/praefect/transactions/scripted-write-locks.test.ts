import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { lineLogger } from '#testkit/line-logger';
import type { Database } from '../database/database.ts';
import { PostgresWriteLocks } from './postgres-write-locks.ts';

const { signal } = new AbortController();
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const other = { ...repository, relativePath: 'y.git' };

/** Locks of a database whose statements the test ends: with a number of rows, or an error. */
function start() {
  const events: string[] = [];
  const results: (number | Error)[] = [];
  const next = async (): Promise<number> => {
    const result = results.shift() ?? 0;
    if (result instanceof Error) throw result;
    return result;
  };
  const rows = async (): Promise<object[]> => Array.from({ length: await next() }, () => ({}));
  const { lines, logger } = lineLogger();
  const locks = new PostgresWriteLocks({
    // All that locks use of a database.
    database: { rows, limitedRows: rows, run: next } as unknown as Database,
    logger,
    observer: {
      timed: async (storage, operation, run) => {
        events.push(`${operation} ${storage}`);
        return await run();
      },
      tried: (storage, result) => void events.push(`${result} ${storage}`),
      held: (storage) => {
        events.push(`held ${storage}`);
        return () => void events.push(`ended ${storage}`);
      },
      listener: () => {},
    },
  });
  return { events, lines, locks, results };
}

test('a lock is counted from its attempt to its release', async () => {
  const { events, locks, results } = start();
  results.push(1, 1);
  const lock = await locks.lock(repository, 1n, signal);
  await lock.renew();
  await lock.release();

  const expected = ['trylock', 'new_acquisition', 'held', 'renew', 'ended', 'unlock'];
  assert.deepEqual(
    events,
    expected.map((event) => `${event} default`),
  );
});

test('a lock that the database cannot give fails at once', async () => {
  const { events, locks, results } = start();
  results.push(new Error('no database'));

  await assert.rejects(locks.lock(repository, 1n, signal), {
    message: 'try lock: acquire repo reference write lock: default|x.git, no database',
  });
  assert.deepEqual(events, ['trylock default', 'error default']);
});

test('waiters try again when their lock is released, and all after a reconnection', async () => {
  const { events, locks } = start();
  const abort = new AbortController();
  const waiting = [repository, repository, other].map((each) => locks.lock(each, 1n, abort.signal));
  const attempts = async (): Promise<number> => {
    await turn();
    return events.splice(0).filter((event) => event === 'contended default').length;
  };
  assert.equal(await attempts(), 3);

  locks.notified('', 'default|x.git');
  assert.equal(await attempts(), 2);
  locks.notified('', 'default|z.git');
  locks.disconnected();
  assert.equal(await attempts(), 0);
  locks.connected();
  assert.equal(await attempts(), 3);

  abort.abort(new Error('gone'));
  for (const each of waiting) await assert.rejects(each, { message: 'try lock: wait for lock: gone' });
  locks.connected();
  assert.equal(await attempts(), 0);
});

test('a wait that ends leaves that of another write to the same repository', async () => {
  const { locks, results } = start();
  const [first, second] = [new AbortController(), new AbortController()];
  const ended = locks.lock(repository, 1n, first.signal);
  const waiting = locks.lock(repository, 2n, second.signal);
  await turn();
  first.abort(new Error('gone'));
  await assert.rejects(ended);

  results.push(1);
  locks.notified('', 'default|x.git');

  await waiting;
});

test('the removal of old locks is logged if there were any, or if it fails', async () => {
  const { lines, locks, results } = start();
  results.push(0, 2, new Error('no database'));

  for (let run = 0; run < 3; run++) await locks.removeExpired();

  assert.deepEqual(
    lines.map(({ count, error, level, msg }) => ({ count, error, level, msg })),
    [
      { count: 2, error: undefined, level: 'info', msg: 'clean up expired repository reference write locks' },
      { count: undefined, error: 'no database', level: 'error', msg: 'cleanup expired lock' },
    ],
  );
});
