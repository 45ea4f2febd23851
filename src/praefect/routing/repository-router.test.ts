import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { electPrimary } from '../elections/elect-primary.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { ReplicaCache } from '../store/replica-cache.ts';
import { RepositoryLookups } from '../store/repository-lookups.ts';
import { MetadataReader } from '../store/repository-metadata.ts';
import { anyReader, localReaders } from './choose-reader.ts';
import { RepositoryRouter } from './repository-router.ts';
import type { MutatorRoute } from './routes.ts';

const STORAGES = ['a', 'b', 'c'];
// Only the names, the address and the identity of a node matter here.
const nodes = STORAGES.map((storage) => ({
  storage,
  config: { address: `tcp://${storage}:8075` },
})) as GitalyNode[];
const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });
const virtualStorage = 'default';
const repository = { virtualStorage, relativePath: 'x.git' };
const NO_SUCH_STORAGE = { code: 'INVALID_ARGUMENT', message: 'virtual storage does not exist' };

// The cases and results are those of Gitaly 19.0.
describe('routes by the database', { skip: withoutPostgres, concurrency: false }, () => {
  let postgres: TestDatabase;

  before(async () => {
    postgres = await startPostgres();
  });

  beforeEach(async () => {
    const { database } = postgres;
    await database.run(sql`TRUNCATE repositories, node_status RESTART IDENTITY CASCADE`);
    await database.run(sql`INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
      SELECT 'one', 'default', storage, now(), now() FROM unnest(${STORAGES}::text[]) AS up(storage)`);
  });

  after(() => postgres?.[Symbol.asyncDispose]());

  /**
   * @param healthy names of nodes, as this Praefect sees them
   * @param local name of the node on its machine; by default reads do not prefer any
   */
  function routerWith({ healthy = 'abc', factor = 0, local = '' } = {}): RepositoryRouter {
    const { database } = postgres;
    const lookups = new RepositoryLookups(database);
    const storages = new Map([[virtualStorage, STORAGES]]);
    const metadata = new MetadataReader(database, storages);
    return new RepositoryRouter({
      nodes: new Map([[virtualStorage, nodes]]),
      replicationFactors: new Map([[virtualStorage, factor]]),
      isHealthy: ({ storage }) => healthy.includes(storage),
      chooseReader:
        local === '' ? anyReader : localReaders(nodes, { names: new Set([local]), addresses: new Set() }),
      lookups,
      cache: new ReplicaCache({ lookups, virtualStorages: [virtualStorage], logger, count: () => {} }),
      metadataOf: (key) => metadata.byPath(key),
      electPrimary: (id) => electPrimary(database, id, logger),
    });
  }

  /** Records a repository with primary `a`. @param replicas generations by storage */
  async function record(
    replicas: Readonly<Record<string, number>>,
    { assigned = '', id = 1, path = 'x.git' } = {},
  ): Promise<void> {
    const { database } = postgres;
    const generation = Math.max(...Object.values(replicas));
    await database.run(sql`SELECT nextval('repositories_repository_id_seq')`);
    await database.run(sql`INSERT INTO repositories
      VALUES ('default', ${path}, ${generation}, 'a', ${id}, ${`replica/${path}`})`);
    for (const [storage, replica] of Object.entries(replicas))
      await database.run(
        sql`INSERT INTO storage_repositories VALUES ('default', ${path}, ${storage}, ${replica}, ${id})`,
      );
    for (const storage of assigned)
      await database.run(
        sql`INSERT INTO repository_assignments VALUES ('default', ${path}, ${storage}, ${id})`,
      );
  }

  /** The nodes of a route: its primary, `+` secondaries, `>` those that get a copy. */
  const written = ({ primary, secondaries, replicationTargets }: MutatorRoute): string =>
    [
      primary.storage,
      ...secondaries.map(({ storage }) => `+${storage}`).sort(),
      ...replicationTargets.map((storage) => `>${storage}`).sort(),
    ].join('');

  /** Returns the results, of enough calls to see each that may come. */
  const seen = async (call: () => Promise<string>): Promise<string[]> =>
    [...new Set(await Promise.all(Array.from({ length: 60 }, call)))].sort();

  for (const { healthy, local = '', onPrimary = false, expected } of [
    { healthy: 'abc', expected: ['a', 'b'] },
    { healthy: 'b', expected: ['b'] },
    { healthy: 'c', expected: 'no suitable node to serve the request' },
    { healthy: '', expected: 'no healthy nodes' },
    { healthy: 'abc', local: 'b', expected: ['b'] },
    { healthy: 'ac', local: 'b', expected: ['a'] },
    { healthy: 'abc', local: 'c', expected: ['a', 'b'] },
    { healthy: 'ab', onPrimary: true, expected: ['a'] },
    { healthy: 'ab', local: 'b', onPrimary: true, expected: ['a'] },
    { healthy: 'b', onPrimary: true, expected: 'primary gitaly is not healthy' },
  ])
    test(`a read${onPrimary ? ' on the primary' : ''}, healthy: ${healthy || 'none'}, c behind${
      local && `, ${local} on the same machine`
    }`, async () => {
      await record({ a: 1, b: 1, c: 0 });
      const router = routerWith({ healthy, local });
      const read = async () => (await router.accessor(repository, { onPrimary })).node.storage;

      if (typeof expected === 'string') await assert.rejects(read, { message: expected });
      else assert.deepEqual(await seen(read), expected);
    });

  test('unknown repositories and virtual storages are refused', async () => {
    await record({ a: 0 });
    const router = routerWith();
    const elsewhere = { virtualStorage: 'other', relativePath: 'x.git' };
    const unknown = { virtualStorage, relativePath: 'y.git' };
    const notFound = { code: 'NOT_FOUND', message: 'repository not found' };
    for (const [key, error] of [
      [elsewhere, NO_SUCH_STORAGE],
      [unknown, notFound],
    ] as const) {
      await assert.rejects(router.accessor(key, { onPrimary: false }), error);
      await assert.rejects(router.accessor(key, { onPrimary: true }), error);
      await assert.rejects(router.mutator(key, undefined), error);
      await assert.rejects(router.maintenance(key), error);
    }
    await assert.rejects(router.creation(elsewhere, undefined), NO_SUCH_STORAGE);
    await assert.rejects(router.storageAccessor('other'), NO_SUCH_STORAGE);
    assert.deepEqual(
      await seen(async () => (await router.storageAccessor(virtualStorage)).storage),
      STORAGES,
    );
  });

  for (const { name, healthy = 'abc', replicas, assigned = '', expected } of [
    { name: 'all are up to date', replicas: { a: 1, b: 1, c: 1 }, expected: 'a+b+c' },
    { name: 'one is behind', replicas: { a: 1, b: 0, c: 1 }, expected: 'a+c>b' },
    { name: 'one has none', replicas: { a: 1, c: 1 }, expected: 'a+c>b' },
    { name: 'only the primary is healthy', healthy: 'a', replicas: { a: 1, b: 1, c: 0 }, expected: 'a>b>c' },
    { name: 'one is not assigned', replicas: { a: 1, b: 1, c: 1 }, assigned: 'ab', expected: 'a+b' },
    { name: 'an unassigned one is behind', replicas: { a: 1, b: 1, c: 0 }, assigned: 'ab', expected: 'a+b' },
    {
      name: 'the primary is behind, and who is not is down here',
      healthy: 'ac',
      replicas: { a: 0, b: 1, c: 0 },
      expected: new Error('primary gitaly is not healthy'),
    },
    {
      name: 'the primary is down here',
      healthy: 'bc',
      replicas: { a: 1, b: 0, c: 0 },
      expected: new Error('primary gitaly is not healthy'),
    },
    {
      name: 'the primary is not assigned, and nobody else can be it',
      replicas: { a: 1, b: 0, c: 0 },
      assigned: 'bc',
      expected: new Error('primary node is not assigned'),
    },
  ])
    test(`a write when ${name}`, async () => {
      await record(replicas, { assigned });
      const write = routerWith({ healthy }).mutator(repository, undefined);

      if (typeof expected === 'string') assert.equal(written(await write), expected);
      else await assert.rejects(write, { message: expected.message });
    });

  test('a write beside another repository knows where that is', async () => {
    await record({ a: 0, b: 0, c: 0 });
    await record({ a: 0 }, { id: 2, path: 'y.git' });
    const route = await routerWith().mutator(repository, 'y.git');
    assert.deepEqual(
      [route.repositoryId, route.replicaPath, route.additionalReplicaPath],
      [1, 'replica/x.git', 'replica/y.git'],
    );
    await assert.rejects(routerWith().mutator(repository, 'z.git'), {
      code: 'NOT_FOUND',
      message: 'resolve additional replica path: additional repository not found',
      metadata: { storage_name: 'default', relative_path: 'z.git' },
    });
  });

  for (const { name, healthy = 'abc', replicas = { a: 1, b: 1, c: 1 }, assigned = '', expected } of [
    { name: 'all are healthy', expected: ['a', 'b', 'c'] },
    { name: 'none is healthy', healthy: '', expected: [] },
    { name: 'the primary is down', healthy: 'bc', expected: ['b', 'c'] },
    { name: 'only the primary is up', healthy: 'a', expected: ['a'] },
    { name: 'the primary is not assigned', assigned: 'bc', expected: ['b', 'c'] },
    { name: 'one is not assigned', assigned: 'ab', expected: ['a', 'b'] },
    { name: 'one is not assigned, one is down', healthy: 'ab', assigned: 'ac', expected: ['a'] },
    { name: 'the primary has none', replicas: { a: -1, b: 9, c: 9 }, assigned: 'abc', expected: ['b', 'c'] },
    { name: 'a secondary has none', replicas: { a: 9, b: 9, c: -1 }, assigned: 'abc', expected: ['a', 'b'] },
    { name: 'some are behind', replicas: { a: 0, b: 1, c: 2 }, expected: ['a', 'b', 'c'] },
  ])
    test(`maintenance when ${name}`, async () => {
      await record(replicas, { assigned });
      const route = routerWith({ healthy }).maintenance(repository);

      if (expected.length === 0) await assert.rejects(route, { message: 'no healthy nodes' });
      else
        assert.deepEqual(
          (await route).nodes.map(({ storage }) => storage),
          expected,
        );
    });

  for (const { healthy = 'abc', factor = 0, expected } of [
    { healthy: 'a', expected: ['a>b>c'] },
    { expected: ['a+b+c', 'b+a+c', 'c+a+b'] },
    { healthy: 'ab', expected: ['a+b>c', 'b+a>c'] },
    { factor: 1, expected: ['a', 'b', 'c'] },
    { factor: 2, expected: ['a+b', 'a+c', 'b+a', 'b+c', 'c+a', 'c+b'] },
    { healthy: 'ab', factor: 3, expected: ['a+b>c', 'b+a>c'] },
  ])
    test(`a new repository with healthy ${healthy}, replication factor ${factor}`, async () => {
      const router = routerWith({ healthy, factor });

      const routes = await seen(async () => written(await router.creation(repository, undefined)));

      // With six results a rare one may not come.
      if (factor === 2) for (const route of routes) assert.ok(expected.includes(route), route);
      else assert.deepEqual(routes, expected);
    });

  test('a new repository gets an id and a path, unless it exists or no node is healthy', async () => {
    const route = await routerWith({ factor: 1 }).creation(repository, undefined);
    // sha256("1") begins with 6b86b2.
    assert.deepEqual(
      [route.repositoryId, route.replicaPath, route.isAssigned],
      [1, '@cluster/repositories/6b/86/1', true],
    );
    assert.equal((await routerWith().creation(repository, undefined)).isAssigned, false);
    await assert.rejects(routerWith({ healthy: '' }).creation(repository, undefined), {
      message: 'no healthy nodes',
    });
    await record({ a: 0 });
    await assert.rejects(routerWith().creation(repository, undefined), {
      code: 'ALREADY_EXISTS',
      message: 'reserve repository id: repository already exists',
    });
  });

  for (const {
    name,
    healthy = 'abc',
    factor = 0,
    replicas = { a: 0, b: 0, c: 0 },
    assigned = '',
    expected,
  } of [
    { name: 'is assigned to one node', replicas: { a: 0 }, assigned: 'a', expected: 'a assigned' },
    { name: 'is on one node of three', replicas: { a: 0 }, expected: 'a>b>c' },
    { name: 'is on all nodes', expected: 'a+b+c' },
    { name: 'is assigned to all', healthy: 'ac', assigned: 'abc', expected: 'a+c>b assigned' },
    {
      name: 'is behind on one',
      replicas: { a: 10, b: 3, c: 10 },
      assigned: 'abc',
      expected: 'a+c>b assigned',
    },
    { name: 'has more nodes than new ones', factor: 2, assigned: 'abc', expected: 'a+b+c assigned' },
  ])
    test(`a repository is made from another that ${name}`, async () => {
      await record(replicas, { assigned, path: 'y.git' });
      const route = await routerWith({ healthy, factor }).creation(repository, 'y.git');

      assert.equal(written(route) + (route.isAssigned ? ' assigned' : ''), expected);
      assert.equal(route.additionalReplicaPath, 'replica/y.git');
    });

  test('a repository is not made from another that is unknown, or whose primary is down', async () => {
    await assert.rejects(routerWith({ healthy: '' }).creation(repository, 'y.git'), {
      code: 'NOT_FOUND',
      message: 'additional repository not found',
    });
    await record({ a: 0 }, { path: 'y.git' });
    await assert.rejects(routerWith({ healthy: 'bc' }).creation(repository, 'y.git'), {
      message: 'primary gitaly is not healthy',
    });
  });

  test('writes to a whole storage are not routed', async () => {
    await assert.rejects(routerWith().storageMutator(), {
      message: 'RouteStorageMutator is not implemented on PerRepositoryRouter',
    });
  });
});
