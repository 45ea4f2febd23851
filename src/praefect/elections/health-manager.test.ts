import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { openTimers } from '#testkit/measure/open-timers';
import { movedClock } from '#testkit/praefect/moved-clock';
import { checkedNode } from '#testkit/praefect/started-backend';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { type Database, sql } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { HealthManager } from './health-manager.ts';

const refused = new GitalyError('UNAVAILABLE', 'refused');
const NEVER = new AbortController().signal;

function managerOf(database: Database) {
  const [a, b] = [checkedNode('a'), checkedNode('b')];
  const { lines: log, logger } = lineLogger();
  const nodes = new Map([['default', [b.node, a.node]]]);
  const checked: [storage: string, isHealthy: boolean][] = [];
  const observer = {
    checked: (storage: string, { isHealthy }: { isHealthy: boolean }) =>
      void checked.push([storage, isHealthy]),
  };
  const manager = new HealthManager({ database, nodes, praefectName: 'one', logger, observer });
  return { a, b, checked, log, manager };
}

/** A manager with a clock that a test moves. Its updates of the database end as `run` does. */
async function start(context: TestContext, run: () => Promise<number> = async () => 2) {
  const pass = movedClock(context);
  // All that health checks use of a database.
  const setting = managerOf({ run } as unknown as Database);
  context.after(() => setting.manager[Symbol.asyncDispose]());
  assert.equal(setting.manager.isHealthy(setting.a.node), false, 'the first check has not ended');
  await pass(0);
  return { ...setting, pass };
}

test('nodes are checked at once, and then each second', async (context) => {
  const { a, b, checked, log, manager, pass } = await start(context);
  assert.deepEqual([manager.isHealthy(a.node), manager.isHealthy(b.node)], [true, true]);
  b.failure = refused;
  await pass(999);
  assert.equal(a.checks, 1);

  await pass(1);

  assert.equal(a.checks, 2);
  // Born failing: the gauge of health stayed empty with this strategy.
  assert.deepEqual(checked, [
    ...([
      ['a', true],
      ['b', true],
    ] as const),
    ...([
      ['a', true],
      ['b', false],
    ] as const),
  ]);
  assert.deepEqual([manager.isHealthy(a.node), manager.isHealthy(b.node)], [true, false]);
  assert.deepEqual(
    log.map(({ time: _, pid: _pid, ...fields }) => fields),
    [
      {
        ...{ level: 'error', msg: 'failed checking node health', error: 'refused' },
        ...{ virtual_storage: 'default', storage: 'b' },
      },
    ],
  );
  await manager[Symbol.asyncDispose]();
  await pass(5000);
  assert.equal(a.checks, 2);
});

test('losses are remembered: of calls, and of checks of nodes that were healthy', async (context) => {
  const { a, b, manager, pass } = await start(context);
  await pass(1000);
  assert.equal(manager.hasLost('default', 60_000), false);
  b.failure = refused;
  await pass(1000);
  assert.deepEqual([manager.hasLost('default', 0), manager.hasLost('other', 0)], [true, false]);

  await pass(10);
  assert.equal(manager.hasLost('default', 9), false);
  manager.lost(a.node);
  assert.deepEqual([manager.hasLost('default', 0), manager.isHealthy(a.node)], [true, false]);
});

test('the loss of a node leaves the others healthy', async (context) => {
  const { a, b, manager } = await start(context);
  manager.lost(a.node);
  assert.equal(manager.isHealthy(b.node), true);
});

for (const { name, notify, isEarly } of [
  {
    name: 'a call that a node refused',
    notify: (manager: HealthManager, node: GitalyNode) => manager.callFailed(node, refused),
    isEarly: true,
  },
  {
    name: 'a call that failed',
    notify: (manager: HealthManager, node: GitalyNode) =>
      manager.callFailed(node, new GitalyError('INTERNAL', 'failed')),
    isEarly: false,
  },
  {
    name: 'a loss',
    notify: (manager: HealthManager, node: GitalyNode) => manager.lost(node),
    isEarly: true,
  },
  {
    name: 'a disconnect',
    notify: (_: HealthManager, node: GitalyNode) => node.onDisconnect(),
    isEarly: true,
  },
])
  test(`${name}: the next check is ${isEarly ? 'earlier' : 'in time'}`, async (context) => {
    const { a, manager, pass } = await start(context);
    notify(manager, a.node);
    await pass(500);
    assert.equal(a.checks, isEarly ? 2 : 1);
  });

test('a node that is not healthy is not checked before its time', async (context) => {
  const { a, b, pass } = await start(context);
  b.failure = refused;
  await pass(1000);
  b.node.onDisconnect();
  await pass(500);
  assert.equal(a.checks, 2);
});

test('a caller waits for the end of the next round', async (context) => {
  const { manager, pass } = await start(context);
  let isOver = false;
  const waiting = manager.nextRound().then(() => {
    isOver = true;
  });
  await pass(999);
  assert.equal(isOver, false);
  await pass(1);
  await waiting;
});

test('the start waits for the first update of the database that succeeds', async (context) => {
  const results: (() => Promise<number>)[] = [() => Promise.reject(new Error('no database')), async () => 2];
  const { log, manager, pass } = await start(context, () => results.shift()?.() ?? Promise.resolve(2));
  const { signal } = new AbortController();
  let isUpdated = false;
  const updated = manager.updated(signal).then(() => {
    isUpdated = true;
  });
  await pass(0);
  assert.equal(isUpdated, false);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  assert.deepEqual(
    log.map(({ level, msg, error }) => [level, msg, error]),
    [['error', 'checking health failed', 'update checks: no database']],
  );

  await pass(1000);

  await updated;
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  await manager.updated(NEVER);
});

test('a start that is stopped waits no longer', async (context) => {
  const { manager } = await start(context, () => Promise.reject(new Error('no database')));
  const stop = new AbortController();
  const waiting = manager.updated(stop.signal);
  stop.abort();
  const stopped = { message: 'stopped before the nodes were checked' };
  await assert.rejects(waiting, stopped);
  await assert.rejects(manager.updated(stop.signal), stopped);
});

test('an update of the database has five seconds, and may fail later', async (context) => {
  const { promise, reject } = Promise.withResolvers<number>();
  const { log, pass } = await start(context, () => promise);
  await pass(4999);
  assert.deepEqual(log, []);
  await pass(1);
  assert.deepEqual(
    log.map(({ error }) => error),
    ['update checks: context deadline exceeded'],
  );
  reject(new Error('gone'));
  await immediate();
});

test('an update that has ended leaves no timer', async (context) => {
  const open = openTimers(context);
  const { manager } = managerOf({ run: async () => 2 } as unknown as Database); // as in `start`
  await manager.updated(NEVER);
  await manager[Symbol.asyncDispose]();
  assert.equal(open(), 0);
});

test('the database gets the result of each check', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const { b, manager } = managerOf(database);
  await using _manager = manager;
  await manager.updated(NEVER);
  const statuses = () =>
    database.rows(sql<{ name: string; seen_at: Date }>`
      SELECT praefect_name || ' ' || shard_name || ' ' || node_name AS name, last_seen_active_at AS seen_at
      FROM node_status ORDER BY id`);
  const before = await statuses();
  // All Praefects lock the rows in this order.
  assert.deepEqual(
    before.map(({ name }) => name),
    ['one default a', 'one default b'],
  );

  b.failure = refused;

  // A node without a server is not active any more, although it was a second ago.
  const seenAt = (rows: typeof before, index: number): number => rows[index]?.seen_at.getTime() ?? Number.NaN;
  await until(async () => seenAt(await statuses(), 1) < seenAt(before, 1), 'b counts as gone');
  assert.ok(seenAt(await statuses(), 0) > seenAt(before, 0));
});
