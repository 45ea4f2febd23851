import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { WriteFacts } from '../store/repository-lookups.ts';
import type { RepositoryMetadata } from '../store/repository-metadata.ts';
import { anyReader } from './choose-reader.ts';
import { RepositoryRouter, type RepositoryRouterOptions } from './repository-router.ts';

// Only the names and the identity of a node matter here.
const nodes = ['a', 'b', 'c'].map((storage) => ({ storage })) as GitalyNode[];
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const FACTS: WriteFacts = {
  ...{ repositoryId: 7, replicaPath: 'replica/x.git', primary: 'a', isPrimaryValid: true },
  ...{ storages: new Set(['a', 'b']), assigned: [] },
};
const METADATA: RepositoryMetadata = {
  ...{ ...repository, repositoryId: 8, replicaPath: 'replica/y.git', primary: 'a', generation: 1 },
  ...{ hasExplicitAssignments: false, replicas: [] },
};
const gone = () => Promise.reject(new GitalyError('UNAVAILABLE', 'no database'));

type Parts = Partial<Omit<RepositoryRouterOptions, 'lookups'>> & { readonly lookups?: object };

/** A router whose database has one repository, or what a test gives it. */
function routerWith({ lookups = {}, ...parts }: Parts = {}): RepositoryRouter {
  return new RepositoryRouter({
    nodes: new Map([['default', nodes]]),
    replicationFactors: new Map(),
    isHealthy: () => true,
    chooseReader: anyReader,
    // All that the router uses of a cache and of lookups.
    cache: { get: async () => ({ storages: FACTS.storages, replicaPath: FACTS.replicaPath }) } as never,
    lookups: {
      writeFacts: async () => FACTS,
      replicaPath: async () => 'replica/y.git',
      exists: async () => true,
      reserveId: async () => 9,
      ...lookups,
    } as never,
    metadataOf: async () => METADATA,
    electPrimary: async () => assert.fail('no election is due'),
    ...parts,
  });
}

// The texts are those of Gitaly.
for (const [name, call, parts, place] of [
  [
    'a read',
    (router) => router.accessor(repository, { onPrimary: false }),
    { cache: { get: gone } as never },
    'consistent storages',
  ],
  [
    'a read on the primary',
    (router) => router.accessor(repository, { onPrimary: true }),
    { lookups: { writeFacts: gone } },
    'get repository id',
  ],
  [
    'a write',
    (router) => router.mutator(repository, undefined),
    { lookups: { writeFacts: gone } },
    'get repository id',
  ],
  [
    'a write beside another repository',
    (router) => router.mutator(repository, 'y.git'),
    { lookups: { replicaPath: gone } },
    'resolve additional replica path',
  ],
  [
    'a write that needs a primary',
    (router) => router.mutator(repository, undefined),
    { lookups: { writeFacts: async () => ({ ...FACTS, isPrimaryValid: false }) }, electPrimary: gone },
    'get primary',
  ],
  [
    'a creation',
    (router) => router.creation(repository, undefined),
    { lookups: { reserveId: gone } },
    'reserve repository id',
  ],
  [
    'a creation from another repository',
    (router) => router.creation(repository, 'y.git'),
    { metadataOf: gone },
    'resolve additional replica metadata',
  ],
  [
    'maintenance',
    (router) => router.maintenance(repository),
    { metadataOf: gone },
    'getting repository metadata',
  ],
] as const satisfies readonly (readonly [string, (router: RepositoryRouter) => unknown, Parts, string])[])
  test(`${name} whose lookup fails names its place, and keeps the code`, async () => {
    await assert.rejects(async () => await call(routerWith(parts)), {
      code: 'UNAVAILABLE',
      message: `${place}: no database`,
    });
  });

test('a repository whose primary is behind is read-only', async () => {
  const router = routerWith({
    lookups: { writeFacts: async () => ({ ...FACTS, storages: new Set(['b']) }) },
  });

  await assert.rejects(router.mutator(repository, undefined), {
    code: 'FAILED_PRECONDITION',
    message: 'repository is in read-only mode',
  });
});

test('a primary is elected if it is due, and the facts are read again', async () => {
  const elected: number[] = [];
  const answers: WriteFacts[] = [
    { ...FACTS, isPrimaryValid: false, replicaPath: 'before' },
    { ...FACTS, isPrimaryValid: false, storages: new Set(['b', 'c']) },
  ];
  const router = routerWith({
    lookups: { writeFacts: async () => answers.shift() },
    electPrimary: async (id) => {
      elected.push(id);
      return 'b';
    },
  });

  const route = await router.mutator(repository, undefined);

  assert.deepEqual(elected, [7]);
  assert.equal(route.primary, nodes[1]);
  assert.deepEqual(route.secondaries, [nodes[2]]);
  assert.deepEqual(route.replicationTargets, ['a']);
  assert.equal(route.replicaPath, 'replica/x.git');
});

test('a write or a read on the primary needs one', async () => {
  const router = routerWith({
    lookups: { writeFacts: async () => ({ ...FACTS, isPrimaryValid: false }) },
    electPrimary: async () => undefined,
  });

  for (const call of [
    router.mutator(repository, undefined),
    router.accessor(repository, { onPrimary: true }),
  ])
    await assert.rejects(call, { message: 'get primary: no primary' });
});

test('a repository that is removed during an election is not found', async () => {
  const answers: (WriteFacts | undefined)[] = [{ ...FACTS, isPrimaryValid: false }, undefined];
  const router = routerWith({
    lookups: { writeFacts: async () => answers.shift() },
    electPrimary: async () => 'b',
  });

  await assert.rejects(router.mutator(repository, undefined), { code: 'NOT_FOUND' });
});

test('a write beside no other repository has no additional path', async () => {
  const router = routerWith({ lookups: { replicaPath: () => assert.fail('there is none') } });
  for (const path of [undefined, ''])
    assert.equal((await router.mutator(repository, path)).additionalReplicaPath, undefined);
  assert.equal((await router.mutator(repository, undefined)).isAssigned, false);
});

test('a repository that is made from nothing is made on random nodes, with the path undefined', async () => {
  const router = routerWith({ metadataOf: () => assert.fail('there is none') });
  for (const path of [undefined, ''])
    assert.equal((await router.creation(repository, path)).additionalReplicaPath, undefined);
});

test('an unknown additional repository is named', async () => {
  const router = routerWith({ lookups: { replicaPath: async () => undefined } });
  const other = { ...repository, relativePath: 'y.git' };

  await assert.rejects(router.additionalPath(other), {
    code: 'NOT_FOUND',
    message: 'additional repository not found',
    metadata: { storage_name: 'default', relative_path: 'y.git' },
  });
  assert.equal(await routerWith().additionalPath(other), 'replica/y.git');
});

test('a router knows the virtual storages that are configured, and repositories with a record', async () => {
  const router = routerWith({
    lookups: { exists: async ({ relativePath }: typeof repository) => relativePath === 'x.git' },
  });

  assert.deepEqual([router.knows('default'), router.knows('other')], [true, false]);
  assert.equal(await router.exists(repository), true);
  assert.equal(await router.exists({ ...repository, relativePath: 'y.git' }), false);
});

test('a call to a whole storage needs a healthy node', async () => {
  const router = routerWith({ isHealthy: () => false });
  await assert.rejects(router.storageAccessor('default'), {
    name: 'UnhealthyNodesError',
    message: 'no healthy nodes',
  });
});

test('maintenance needs a healthy node with a replica', async () => {
  const replica = (storage: string, generation: number) => ({ storage, generation, isAssigned: true });
  const replicas = [replica('a', 1), replica('b', -1)] as unknown as RepositoryMetadata['replicas'];
  const metadataOf = async () => ({ ...METADATA, replicas });
  const router = routerWith({ metadataOf });
  const { nodes: maintained } = await router.maintenance(repository);
  assert.deepEqual(maintained, nodes.slice(0, 1));

  const without = routerWith({ metadataOf, isHealthy: ({ storage }) => storage !== 'a' });
  await assert.rejects(without.maintenance(repository), {
    name: 'UnhealthyNodesError',
    message: 'no healthy nodes',
  });
});
