import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { lineLogger } from '#testkit/line-logger';
import type { NodeHealth } from '../elections/node-health.ts';
import { PRIMARY_DOWN, UnhealthyNodesError } from '../nodes/unhealthy-nodes.ts';
import { ReachableNodes } from './reachable-nodes.ts';

const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });
const { signal } = new AbortController();

/** Returns a node with the two facts that matter here. */
function nodeThat(isReady: boolean, serves: boolean) {
  return {
    storage: 'gitaly-1',
    config: { virtualStorage: 'default' },
    isReady,
    isServing: async (_: number, onFailure: (error: unknown) => void) => {
      if (!serves) onFailure(new Error('refused'));
      return serves;
    },
  } as never;
}

function healthOf({ hasLost = false } = {}): NodeHealth & { readonly lostNodes: unknown[]; rounds: number } {
  const health = {
    lostNodes: [] as unknown[],
    rounds: 0,
    isHealthy: () => true,
    lost: (node: unknown) => void health.lostNodes.push(node),
    hasLost: () => hasLost,
    nextRound: async () => void health.rounds++,
  };
  return health;
}

/** Returns each of some routes in turn; an error is thrown. */
function inTurn<T>(...routes: readonly (T | Error)[]): () => Promise<T> {
  let turn = 0;
  return async () => {
    const route = routes[Math.min(turn++, routes.length - 1)];
    if (route instanceof Error) throw route;
    return route as T;
  };
}

const search = {
  virtualStorage: 'default',
  context: { signal },
  waits: true,
  nodesOf: (node: never) => [node],
};

test('a node that has announced its stop and refuses connections is replaced, and reported', async () => {
  const health = healthOf();
  const [stopping, other] = [nodeThat(false, false), nodeThat(true, true)];
  const { lines, logger } = lineLogger();
  const reachable = new ReachableNodes({ health, logger });

  assert.equal(await reachable.route({ ...search, find: inTurn(stopping, other) }), other);
  assert.deepEqual(health.lostNodes, [stopping]);
  const named = { virtual_storage: 'default', storage: 'gitaly-1', error: 'refused' };
  assert.partialDeepStrictEqual(lines, [{ level: 'warning', msg: 'node accepts no calls', ...named }]);
});

test('a node that has handed its socket over keeps its calls', async () => {
  const health = healthOf();
  const restarted = nodeThat(false, true);
  const reachable = new ReachableNodes({ health, logger });

  assert.equal(await reachable.route({ ...search, find: inTurn(restarted) }), restarted);
  assert.deepEqual(health.lostNodes, []);
});

test('a write waits for another primary after the loss of a node', async () => {
  const health = healthOf({ hasLost: true });
  const other = nodeThat(true, true);
  const reachable = new ReachableNodes({ health, logger });
  const find = inTurn(new UnhealthyNodesError(PRIMARY_DOWN), new UnhealthyNodesError(PRIMARY_DOWN), other);

  assert.equal(await reachable.route({ ...search, find }), other);
  assert.equal(health.rounds, 2);
});

test('nothing waits without a recent loss, after another error, or for a read', async () => {
  const find = inTurn(new UnhealthyNodesError(PRIMARY_DOWN));
  const late = new ReachableNodes({ health: healthOf(), logger });
  await assert.rejects(late.route({ ...search, find }), { message: 'primary gitaly is not healthy' });

  const reachable = new ReachableNodes({ health: healthOf({ hasLost: true }), logger });
  await assert.rejects(reachable.route({ ...search, find: inTurn(new Error('other')) }), {
    message: 'other',
  });
  await assert.rejects(reachable.route({ ...search, find, waits: false }), {
    message: 'primary gitaly is not healthy',
  });
});

test('a client that leaves ends the wait', async () => {
  const health = { ...healthOf({ hasLost: true }), nextRound: () => new Promise<void>(() => {}) };
  const reachable = new ReachableNodes({ health, logger });
  const leaving = new AbortController();
  const find = inTurn(new UnhealthyNodesError(PRIMARY_DOWN));
  const waiting = reachable.route({ ...search, find, context: { signal: leaving.signal } });

  leaving.abort(new Error('left'));

  await assert.rejects(waiting, { message: 'left' });
});

test('after ten routes with nodes that accept no calls the last one is taken', async () => {
  const health = healthOf();
  const reachable = new ReachableNodes({ health, logger });
  const [away, other] = [nodeThat(false, false), nodeThat(true, true)];
  const tenth = inTurn<never>(...Array.from({ length: 9 }, () => away), nodeThat(false, false), other);

  const found = await reachable.route({ ...search, find: tenth });

  assert.notEqual(found, other);
  assert.equal(health.lostNodes.length, 10);
});

test('all nodes of a route must accept calls', async () => {
  const health = healthOf();
  const reachable = new ReachableNodes({ health, logger });
  const [restarted, away, ready] = [nodeThat(false, true), nodeThat(false, false), nodeThat(true, false)];
  const find = inTurn<readonly never[]>([ready, restarted, away], [ready]);

  const found = await reachable.route({ ...search, find, nodesOf: (nodes: readonly never[]) => nodes });

  assert.deepEqual(found, [ready]);
  assert.deepEqual(health.lostNodes, [away]);
});

test('a call whose client has left is not routed again', async () => {
  const reachable = new ReachableNodes({ health: healthOf(), logger });
  const find = inTurn(nodeThat(false, false));
  const context = { signal: AbortSignal.abort(new Error('left')) };

  await assert.rejects(reachable.route({ ...search, find, context }), { message: 'left' });
});

test('a round of checks that does not end is waited for up to the limit', async () => {
  const health = { ...healthOf({ hasLost: true }), nextRound: () => new Promise<void>(() => {}) };
  const reachable = new ReachableNodes({ health, logger, waitMs: 1 });
  const other = nodeThat(true, true);

  const found = await reachable.route({
    ...search,
    find: inTurn(new UnhealthyNodesError(PRIMARY_DOWN), other),
  });

  assert.equal(found, other);
});
