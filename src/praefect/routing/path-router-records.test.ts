import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { VirtualStorageNodes } from '../elections/virtual-storage-nodes.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { RepositoryRecord, RepositoryRecords } from '../store/repository-records.ts';
import { anyReader } from './choose-reader.ts';
import { PathRouter } from './path-router.ts';

// Only the names and the identity of a node matter here.
const nodes = ['a', 'b', 'c'].map((storage) => ({ storage })) as [GitalyNode, GitalyNode, GitalyNode];
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const RECORD: RepositoryRecord = {
  storages: new Set(['a', 'b']),
  repositoryId: 7,
  replicaPath: 'replica/x.git',
};

/** Records of a database, as far as a test needs them; by default there are none. */
function routerWith(records: Partial<RepositoryRecords> = {}, healthy: readonly GitalyNode[] = nodes) {
  const election: VirtualStorageNodes = {
    ...{ nodes, healthy },
    isHealthy: (node) => healthy.includes(node),
    primary: async () => nodes[0],
  };
  const none: RepositoryRecords = {
    forRead: async () => undefined,
    forWrite: async () => undefined,
    replicaPath: async () => undefined,
    reserveId: async () => 5,
    trustsUnknown: false,
  };
  return new PathRouter(new Map([['default', election]]), { ...none, ...records }, anyReader);
}

const storagesOf = (of: readonly GitalyNode[]): string[] => of.map(({ storage }) => storage);

test('a repository is where its record has it, or at the path of the client', async () => {
  const known = routerWith({ forRead: async () => RECORD });
  for (const onPrimary of [false, true])
    assert.equal((await known.accessor(repository, { onPrimary })).replicaPath, 'replica/x.git');
  assert.deepEqual(await routerWith().accessor(repository, { onPrimary: false }), {
    node: nodes[0],
    replicaPath: 'x.git',
  });
});

test('a repository exists if it has a record', async () => {
  assert.equal(await routerWith({ replicaPath: async () => 'replica/x.git' }).exists(repository), true);
  assert.equal(await routerWith().exists(repository), false);
});

test('an additional repository is where its record has it, or at the path of the client', async () => {
  const known = routerWith({ replicaPath: async ({ relativePath }) => `replica/${relativePath}` });
  for (const [router, expected] of [
    [known, 'replica/y.git'],
    [routerWith(), 'y.git'],
  ] as const) {
    assert.equal(await router.additionalPath({ ...repository, relativePath: 'y.git' }), expected);
    for (const route of [router.mutator(repository, 'y.git'), router.creation(repository, 'y.git')])
      assert.equal((await route).additionalReplicaPath, expected);
  }
  for (const path of [undefined, ''])
    assert.equal((await known.mutator(repository, path)).additionalReplicaPath, path);
});

test('a write has the id and path of its record', async () => {
  const { primary, secondaries, ...route } = await routerWith({ forWrite: async () => RECORD }).mutator(
    repository,
    undefined,
  );

  assert.deepEqual(storagesOf([primary, ...secondaries]), ['a', 'b']);
  assert.deepEqual(route, {
    repositoryId: 7,
    isAssigned: false,
    replicaPath: 'replica/x.git',
    replicationTargets: ['c'],
    additionalReplicaPath: undefined,
  });
});

test('the first write without a record reserves an id and trusts only the primary', async () => {
  const { primary, secondaries, ...route } = await routerWith().mutator(repository, undefined);

  assert.deepEqual(storagesOf([primary, ...secondaries]), ['a']);
  assert.deepEqual(route, {
    repositoryId: 5,
    isAssigned: false,
    replicaPath: 'x.git',
    replicationTargets: ['b', 'c'],
    additionalReplicaPath: undefined,
  });
});

test('a write without a record has no id if another one has recorded it meanwhile', async () => {
  const router = routerWith({ reserveId: async () => undefined });
  assert.equal((await router.mutator(repository, undefined)).repositoryId, 0);
});

test('where unknown repositories are trusted, all healthy nodes take part in a write', async () => {
  const router = routerWith({ trustsUnknown: true }, nodes.slice(0, 2));
  const { primary, replicationTargets, secondaries } = await router.mutator(repository, undefined);
  assert.deepEqual(storagesOf([primary, ...secondaries]), ['a', 'b']);
  assert.deepEqual(replicationTargets, ['c']);
});

test('a new repository is created on the healthy nodes, at the path of the client', async () => {
  const router = routerWith({}, nodes.slice(0, 2));

  const { primary, secondaries, ...route } = await router.creation(repository, undefined);

  assert.deepEqual(storagesOf([primary, ...secondaries]), ['a', 'b']);
  assert.deepEqual(route, {
    repositoryId: 5,
    isAssigned: false,
    replicaPath: 'x.git',
    replicationTargets: ['c'],
    additionalReplicaPath: undefined,
  });
});

test('a repository with a record is not created again', async () => {
  const router = routerWith({ reserveId: async () => undefined });
  await assert.rejects(router.creation(repository, undefined), {
    code: 'ALREADY_EXISTS',
    message: 'reserve repository id: repository already exists',
  });
});

test('failures of the records have the step as prefix, and keep their code', async () => {
  const fail = (): Promise<never> => Promise.reject(new GitalyError('UNAVAILABLE', 'gone'));
  for (const { route, prefix } of [
    {
      route: routerWith({ forRead: fail }).accessor(repository, { onPrimary: false }),
      prefix: 'consistent storages',
    },
    { route: routerWith({ forWrite: fail }).mutator(repository, undefined), prefix: 'consistent storages' },
    {
      route: routerWith({ reserveId: fail }).creation(repository, undefined),
      prefix: 'reserve repository id',
    },
  ])
    await assert.rejects(route, { code: 'UNAVAILABLE', message: `${prefix}: gone` });
});

test('maintenance names no id, and the path of the record', async () => {
  const route = await routerWith({ replicaPath: async () => 'replica/x.git' }).maintenance(repository);
  assert.deepEqual(route, { repositoryId: 0, nodes, replicaPath: 'replica/x.git' });
});
