import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { movedClock } from '#testkit/praefect/moved-clock';
import { checkedNode } from '#testkit/praefect/started-backend';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { type CheckedNodes, Election, type ElectionOptions } from './election.ts';
import { ErrorThresholds } from './error-thresholds.ts';

const refused = new GitalyError('UNAVAILABLE', 'refused');
const BOOTSTRAP_MS = 1000;
const MONITOR_MS = 3000;

/** @param failure of the checks of `b`. */
function setUp(context: TestContext, options: Partial<ElectionOptions> = {}, failure?: GitalyError) {
  const pass = movedClock(context);
  const [a, b] = [checkedNode('a'), checkedNode('b')];
  b.failure = failure;
  const updates: CheckedNodes[] = [];
  const elected: unknown[] = [];
  const { lines: log, logger } = lineLogger();
  const choice = {
    current: a.node as GitalyNode | undefined,
    found: a.node as GitalyNode | undefined,
    problem: undefined as Error | undefined,
    update: async (checked: CheckedNodes) => {
      updates.push(checked);
      if (choice.problem !== undefined) throw choice.problem;
    },
    find: async () => choice.found,
  };
  const starting = Election.start({
    ...{ virtualStorage: 'default', nodes: [a.node, b.node], choice },
    ...{ bootstrapIntervalMs: BOOTSTRAP_MS, monitorIntervalMs: MONITOR_MS },
    logger,
    observer: { checked: () => {}, elected: (...of) => void elected.push(of) },
    ...options,
  });
  return { pass, a, b, choice, elected, log, starting, updates };
}

/** An election that has started, with the time at which its last check began. */
async function start(context: TestContext, options: Partial<ElectionOptions> = {}) {
  const setting = setUp(context, options);
  await setting.pass(0);
  for (const _ of [2, 3]) await setting.pass(BOOTSTRAP_MS);
  const election = await setting.starting;
  return { ...setting, election };
}

test('it starts with three checks of all nodes', async (context) => {
  const { a, b, elected, pass, starting, updates } = setUp(context, {}, refused);
  await pass(0);
  await pass(BOOTSTRAP_MS - 1);
  assert.deepEqual([a.checks, b.checks], [1, 1]);
  await pass(1);
  assert.equal(a.checks, 2);
  await pass(BOOTSTRAP_MS);
  assert.equal(a.checks, 3);

  const election = await starting;

  assert.deepEqual([election.nodes, election.healthy], [[a.node, b.node], [a.node]]);
  assert.deepEqual([election.isHealthy(a.node), election.isHealthy(b.node)], [true, false]);
  assert.deepEqual(updates, [
    { serving: [a.node], healthy: [], gone: [] },
    { serving: [a.node], healthy: [], gone: [b.node] },
    { serving: [a.node], healthy: [a.node], gone: [b.node] },
  ]);
  assert.deepEqual(elected, Array(3).fill(['default', ['a', 'b'], 'a']));
});

test('nodes are checked at each interval, until it is disposed', async (context) => {
  const { a, election, pass } = await start(context);
  await pass(MONITOR_MS - 1);
  assert.equal(a.checks, 3);
  await pass(1);
  assert.equal(a.checks, 4);
  await election[Symbol.asyncDispose]();
  await pass(MONITOR_MS);
  assert.equal(a.checks, 4);
});

test('checks follow each other after half a second while a node is about to change', async (context) => {
  const { a, b, pass } = await start(context);
  b.failure = new GitalyError('DEADLINE_EXCEEDED', 'late');
  await pass(MONITOR_MS);
  await pass(499);
  assert.equal(a.checks, 4);
  await pass(1);
  assert.equal(a.checks, 5);
});

test('a shorter interval is not extended to half a second', async (context) => {
  const { a, b, pass } = await start(context, { monitorIntervalMs: 100 });
  b.failure = refused;
  await pass(100);
  await pass(100);
  assert.equal(a.checks, 5);
});

test('the primary is the one that the choice finds, unless it was lost', async (context) => {
  const { choice, a, election } = await start(context);
  assert.equal(await election.primary(), a.node);

  choice.found = undefined;
  await assert.rejects(election.primary(), { message: 'primary gitaly is not healthy' });

  choice.found = a.node;
  election.lost(a.node);
  assert.equal(election.isHealthy(a.node), false);
  await assert.rejects(election.primary(), { message: 'primary gitaly is not healthy' });
});

test('losses are remembered: of calls, and of checks of nodes that were healthy', async (context) => {
  const { b, election, pass } = await start(context);
  await pass(MONITOR_MS);
  assert.equal(election.hasLost('default', 60_000), false);
  b.failure = refused;
  await pass(MONITOR_MS);
  assert.equal(election.hasLost('default', 0), true);
  await pass(10);
  assert.equal(election.hasLost('default', 9), false);
  election.lost(b.node);
  assert.equal(election.hasLost('', 0), true, 'it has one virtual storage');
});

for (const { name, notify, expected } of [
  {
    name: 'a call that a node refused',
    notify: (election: Election, node: GitalyNode) => election.callFailed(node, 'accessor', refused),
    expected: 4,
  },
  {
    name: 'a call that failed',
    notify: (election: Election, node: GitalyNode) =>
      election.callFailed(node, 'accessor', new GitalyError('INTERNAL', 'failed')),
    expected: 3,
  },
  { name: 'a loss', notify: (election: Election, node: GitalyNode) => election.lost(node), expected: 4 },
  { name: 'a disconnect', notify: (_: Election, node: GitalyNode) => node.onDisconnect(), expected: 4 },
])
  test(`${name}: ${expected === 4 ? 'nodes are' : 'no node is'} checked before its time`, async (context) => {
    const { a, election, pass } = await start(context);

    notify(election, a.node);

    await pass(500);
    assert.equal(a.checks, expected);
  });

test('a node that does not serve is not checked before its time', async (context) => {
  const { a, b, pass, starting } = setUp(context, {}, refused);
  await pass(0);
  for (const _ of [2, 3]) await pass(BOOTSTRAP_MS);
  await starting;
  b.node.onDisconnect();
  await pass(500);
  assert.equal(a.checks, 3);
});

test('failed calls count for the thresholds', async (context) => {
  const thresholds = new ErrorThresholds({ windowMs: 60_000, reads: 1, writes: 1 }, () => 0);
  const { a, election } = await start(context, { thresholds });
  election.callFailed(a.node, 'mutator', new GitalyError('INTERNAL', 'failed'));
  assert.match(thresholds.problemOf(a.node) ?? '', /^write error/);
});

test('a choice that fails is logged, and the primary observed nevertheless', async (context) => {
  const { choice, elected, log, pass } = await start(context);
  choice.problem = new Error('no database');
  choice.current = undefined;

  await pass(MONITOR_MS);

  assert.deepEqual(
    log.map(({ level, msg, error, virtual_storage }) => ({ level, msg, error, virtual_storage })),
    [{ level: 'error', msg: 'election failed', error: 'no database', virtual_storage: 'default' }],
  );
  assert.deepEqual(elected.at(-1), ['default', ['a', 'b'], undefined]);
});

test('a caller waits for the end of the next round', async (context) => {
  const { election, pass } = await start(context);
  let isOver = false;
  const waiting = election.nextRound().then(() => {
    isOver = true;
  });
  await pass(MONITOR_MS - 1);
  assert.equal(isOver, false);
  await pass(1);
  await waiting;
});
