import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { movedClock } from '#testkit/praefect/moved-clock';
import { checkedNode } from '#testkit/praefect/started-backend';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { healthOf, startElections } from './start-elections.ts';

const nodeOf = (virtualStorage: string, storage: string) => {
  const checked = checkedNode(storage);
  const config = { ...checked.node.config, virtualStorage };
  return Object.assign(checked, { node: Object.assign(checked.node, { config }) });
};

test('each virtual storage has an election and the health of its own nodes', async (context) => {
  const pass = movedClock(context);
  const [a, b, unknown] = [nodeOf('one', 'a'), nodeOf('two', 'b'), nodeOf('gone', 'c')];
  const choices: unknown[] = [];
  await using resources = new AsyncDisposableStack();
  const starting = startElections(
    {
      config: { failover: { bootstrapIntervalMs: 10, monitorIntervalMs: 1000 } } as never, // all that is used
      nodes: new Map([
        ['one', [a.node]],
        ['two', [b.node]],
      ]),
      metrics: { elections: { checked: () => {}, elected: () => {} } },
      logger: lineLogger().logger,
    },
    {
      thresholds: undefined,
      choiceOf: (virtualStorage: string, nodes: readonly GitalyNode[]) => {
        choices.push([virtualStorage, ...nodes.map(({ storage }) => storage)]);
        return { current: undefined, update: async () => {}, find: async () => undefined };
      },
    },
    resources,
  );
  for (const ms of [0, 10, 10]) await pass(ms);
  const health = healthOf(await starting);
  const healthy = () => [a, b, unknown].map(({ node }) => health.isHealthy(node));
  assert.deepEqual(choices, [
    ['one', 'a'],
    ['two', 'b'],
  ]);
  assert.deepEqual(healthy(), [true, true, false]);

  health.lost(unknown.node);
  health.lost(a.node);

  assert.deepEqual(healthy(), [false, true, false]);
  const lost = ['one', 'two', 'gone'].map((name) => health.hasLost(name, 0));
  assert.deepEqual(lost, [true, false, false]);
  await health.nextRound('gone');
  let isOver = false;
  const next = health.nextRound('two').then(() => {
    isOver = true;
  });
  await pass(999);
  assert.equal(isOver, false);
  await pass(1);
  await next;
  const { checks } = b;
  await resources.disposeAsync();
  await pass(10_000);
  assert.equal(b.checks, checks, 'the checks have ended with the resources');
});
