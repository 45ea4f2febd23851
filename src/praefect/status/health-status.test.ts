import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { problemsOfCluster, type StorageStatus } from './cluster-status.ts';
import { healthStatus } from './health-status.ts';

// Only the names and the identity of a node matter here.
const node = (storage: string) => ({ storage }) as GitalyNode;
const [a, b, c] = [node('a'), node('b'), node('c')];

test('without a database a status has the health of each node, in the order of the configuration', () => {
  const nodes = new Map([
    ['second', [c]],
    ['first', [b, a]],
  ]);
  const unknown = {
    ...{ lastSeen: undefined, primaries: undefined, assigned: undefined },
    ...{ outdated: 0, jobs: undefined, oldestJob: undefined },
  };
  const storage = { repositories: undefined, unavailable: 0, unavailablePaths: [] };

  assert.deepEqual(
    healthStatus(nodes, (each) => each !== b),
    {
      virtualStorages: [
        { ...storage, name: 'second', storages: [{ ...unknown, storage: 'c', isHealthy: true }] },
        {
          ...{ ...storage, name: 'first' },
          storages: [
            { ...unknown, storage: 'b', isHealthy: false },
            { ...unknown, storage: 'a', isHealthy: true },
          ],
        },
      ],
      praefects: undefined,
    },
  );
});

test('without a database only nodes that are not healthy are a problem', () => {
  const nodes = new Map([['default', [a, b]]]);

  assert.deepEqual(problemsOfCluster(healthStatus(nodes, () => true)), []);
  assert.deepEqual(problemsOfCluster(healthStatus(nodes, (each) => each === a)), [
    'default: b is not healthy',
  ]);
});

test('problems are counted in words, and a cluster without a praefect is one', () => {
  const [storage] = healthStatus(new Map([['default', [a]]]), () => true).virtualStorages;
  assert.ok(storage);
  const problems = (outdated: number, unavailable: number, more: Partial<StorageStatus> = {}) =>
    problemsOfCluster({
      praefects: [],
      virtualStorages: [
        {
          ...storage,
          unavailable,
          storages: storage.storages.map((each) => ({ ...each, ...more, outdated })),
        },
      ],
    });
  const noPraefect = 'no praefect has checked the nodes in the last minute';

  assert.deepEqual(problems(0, 0), [noPraefect]);
  assert.deepEqual(problems(1, 0, { isHealthy: true, jobs: 0 }), [
    noPraefect,
    'default: 1 replica is not up to date on a, and no copy is queued yet: ' +
      'praefect does that every reconciliation.scheduling_interval (default 5m)',
  ]);
  assert.deepEqual(problems(1, 1), [
    noPraefect,
    'default: 1 replica is not up to date on a',
    'default: 1 repository is unavailable',
  ]);
  assert.deepEqual(problems(2, 2), [
    noPraefect,
    'default: 2 replicas are not up to date on a',
    'default: 2 repositories are unavailable',
  ]);
});
