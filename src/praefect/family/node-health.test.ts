import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { codeOf, GitalyError } from '#base/gitaly-error';
import { LinkedFamily } from '#testkit/servers/linked-family';
import type { NodeHealth } from '../elections/node-health.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { RemoteHealth, shareHealth } from './node-health.ts';

/** More turns than the messages take. */
const TURNS = 20;

/** A process has other objects for the same nodes. All that health needs of a node. */
function nodesOfProcess(): NodesByStorage {
  const node = (storage: string) =>
    ({ storage, config: { virtualStorage: 'default' }, onDisconnect: () => {} }) as unknown as GitalyNode;
  return new Map([['default', ['one', 'two'].map(node)]]);
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}

async function start({ countsErrors = false } = {}) {
  const family = new LinkedFamily();
  const nodes = nodesOfProcess();
  const healthy = new Set<string>(['one', 'two']);
  const noticed: string[] = [];
  let round = Promise.withResolvers<void>();
  const health: NodeHealth = {
    isHealthy: ({ storage }) => healthy.has(storage),
    lost: ({ storage }) => void noticed.push(`lost ${storage}`),
    hasLost: () => false,
    nextRound: () => round.promise,
  };
  shareHealth(family.supervisor, {
    nodes,
    health,
    onNodeError: ({ storage }, operation, error) =>
      void noticed.push(`${storage} ${operation} ${codeOf(error)}`),
  });
  const ofWorker = nodesOfProcess();
  const { link } = family.start();
  const remote = await RemoteHealth.open(link, { nodes: ofWorker, countsErrors });
  const [one, two] = ofWorker.get('default') ?? [];
  assert.ok(one && two);
  const endRound = async (): Promise<void> => {
    const { resolve } = round;
    round = Promise.withResolvers();
    resolve();
    await turns();
  };
  return { endRound, healthy, noticed, one, remote, two };
}

test('a worker has the health that its supervisor has found, from its start on', async () => {
  const { endRound, healthy, one, remote, two } = await start();
  assert.deepEqual(
    [one, two].map((node) => remote.isHealthy(node)),
    [true, true],
  );
  assert.equal(remote.hasLost('default', 60_000), false);

  healthy.delete('two');
  let rounds = 0;
  const next = [remote, remote].map((each) => each.nextRound('default').then(() => rounds++));
  await turns();
  assert.equal(rounds, 0, 'the round has not ended');
  await endRound();
  await Promise.all(next);
  rounds = 0;
  void remote.nextRound('default').then(() => rounds++);
  await turns();
  assert.equal(rounds, 0, 'that is another round');

  assert.deepEqual(
    [one, two].map((node) => remote.isHealthy(node)),
    [true, false],
  );
  assert.equal(remote.hasLost('default', 60_000), true);
});

test('a node that accepts no calls is unhealthy at once, until a check finds it healthy', async () => {
  const { endRound, healthy, noticed, one, remote } = await start();

  remote.lost(one);

  assert.equal(remote.isHealthy(one), false);
  assert.equal(remote.isLost(one), true);
  assert.equal(remote.hasLost('default', 60_000), true);
  healthy.delete('one');
  await endRound();
  assert.deepEqual(noticed, ['lost one']);
  assert.equal(remote.isLost(one), true);
  healthy.add('one');
  await endRound();
  assert.equal(remote.isLost(one), false);
  assert.equal(remote.isHealthy(one), true);
});

test('the supervisor is notified of calls that did not reach a node, and of all if they count', async () => {
  for (const countsErrors of [false, true]) {
    const { noticed, one, remote, two } = await start({ countsErrors });

    remote.onNodeError(one, 'accessor', new GitalyError('NOT_FOUND', 'x'));
    remote.onNodeError(one, 'mutator', new GitalyError('UNAVAILABLE', 'x'));
    two.onDisconnect();
    await turns();

    const others = countsErrors ? ['one accessor NOT_FOUND'] : [];
    assert.deepEqual(noticed, [...others, 'one mutator UNAVAILABLE', 'two unknown UNAVAILABLE']);
  }
});

test('a worker that ends reports no lost connections', async () => {
  const { noticed, one, remote } = await start();

  remote[Symbol.dispose]();
  one.onDisconnect();
  await turns();

  assert.deepEqual(noticed, []);
});
