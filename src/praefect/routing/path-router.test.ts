import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Election } from '../elections/election.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { anyReader, type ChooseReader, localReaders } from './choose-reader.ts';
import { PathRouter } from './path-router.ts';

// Only the names, the address and the identity of a node matter here.
const nodes = ['a', 'b', 'c'].map((storage) => ({
  storage,
  config: { address: `tcp://${storage}:8075` },
})) as GitalyNode[];
const repository = { virtualStorage: 'default', relativePath: 'x.git' };

/** A router of one virtual storage with the primary `a`, of which some nodes are healthy. */
async function start(...healthyNames: string[]) {
  return await startWith(anyReader, healthyNames);
}

async function startWith(chooseReader: ChooseReader, healthyNames: readonly string[]) {
  const healthy = nodes.filter(({ storage }) => healthyNames.includes(storage));
  const [primary] = nodes;
  const election = {
    nodes,
    healthy,
    primary: async () => primary,
    isHealthy: (node: GitalyNode) => healthy.includes(node),
  };
  const store = new MemoryStore();
  // All that the router uses of an election.
  const elections = new Map([['default', election as unknown as Election]]);
  return { store, router: new PathRouter(elections, store.records(), chooseReader) };
}

const created = {
  repository,
  repositoryId: 0,
  replicaPath: 'x.git',
  primary: 'a',
  updated: ['b'],
  outdated: ['c'],
  isAssigned: false,
};

test('a virtual storage that does not exist is refused by every route', async () => {
  const { router } = await start('a');
  const other = { ...repository, virtualStorage: 'other' };
  const error = { code: 'INVALID_ARGUMENT', message: 'virtual storage does not exist' };

  assert.deepEqual([router.knows('default'), router.knows('other')], [true, false]);
  for (const route of [
    () => router.accessor(other, { onPrimary: false }),
    () => router.storageAccessor('other'),
    () => router.mutator(other, undefined),
    () => router.creation(other, undefined),
    () => router.storageMutator('other'),
    () => router.maintenance(other),
  ])
    await assert.rejects(route(), error);
});

test('reads go to healthy nodes that are up to date, on request to the primary', async () => {
  const { router, store } = await start('b', 'c');
  assert.equal((await router.accessor(repository, { onPrimary: false })).node.storage, 'a');
  await store.recordCreation(created);

  for (let call = 0; call < 20; call++)
    assert.equal((await router.accessor(repository, { onPrimary: false })).node.storage, 'b');
  assert.equal((await router.accessor(repository, { onPrimary: true })).node.storage, 'a');

  const { router: unhealthy, store: second } = await start('c');
  await second.recordCreation(created);
  await assert.rejects(unhealthy.accessor(repository, { onPrimary: false }), {
    message: 'no suitable node to serve the request',
  });
});

test('reads prefer a node on the same machine only while it is healthy and up to date', async () => {
  const onMachine = (name: string): ChooseReader =>
    localReaders(nodes, { names: new Set([name]), addresses: new Set() });
  // `a` and `b` are up to date, `c` is not.
  for (const { local, healthy, expected } of [
    { local: 'b', healthy: ['a', 'b', 'c'], expected: ['b'] },
    { local: 'b', healthy: ['a', 'c'], expected: ['a'] },
    { local: 'c', healthy: ['a', 'b', 'c'], expected: ['a', 'b'] },
  ]) {
    const { router, store } = await startWith(onMachine(local), healthy);
    await store.recordCreation(created);
    const seen = new Set<string>();

    for (let call = 0; call < 40; call++)
      seen.add((await router.accessor(repository, { onPrimary: false })).node.storage);

    assert.deepEqual([...seen].sort(), expected);
    assert.equal((await router.accessor(repository, { onPrimary: true })).node.storage, 'a');
  }
});

test('writes take part where a node is healthy and up to date; the others get copies', async () => {
  const { router, store } = await start('a', 'b', 'c');
  await store.recordCreation(created);

  const route = await router.mutator(repository, 'pool.git');

  assert.equal(route.primary.storage, 'a');
  assert.deepEqual(
    route.secondaries.map(({ storage }) => storage),
    ['b'],
  );
  assert.deepEqual(route.replicationTargets, ['c']);
  assert.equal(route.additionalReplicaPath, 'pool.git');

  const outdated = await start('a', 'b', 'c');
  await outdated.store.recordCreation({ ...created, primary: 'b', updated: [], outdated: ['a', 'c'] });
  await assert.rejects(outdated.router.mutator(repository, undefined), {
    code: 'FAILED_PRECONDITION',
    message: 'repository is in read-only mode',
  });
});

test('maintenance and calls of a storage need a healthy node', async () => {
  const { router } = await start('b', 'c');
  const { nodes: maintained, replicaPath } = await router.maintenance(repository);
  assert.equal(replicaPath, 'x.git');
  assert.deepEqual(
    maintained.map(({ storage }) => storage),
    ['b', 'c'],
  );
  assert.ok(['b', 'c'].includes((await router.storageAccessor('default')).storage));
  const { primary, secondaries } = await router.storageMutator('default');
  assert.deepEqual(
    [primary, ...secondaries].map(({ storage }) => storage),
    ['a', 'b', 'c'],
  );

  const none = await start();
  await assert.rejects(none.router.maintenance(repository), { message: 'no healthy nodes' });
  await assert.rejects(none.router.storageAccessor('default'), { message: 'no healthy nodes' });
  assert.deepEqual((await none.router.storageMutator('default')).secondaries, []);
});
