import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/start-postgres';
import { sql } from '../database/database.ts';
import type { ReplicationJob } from '../replication/job.ts';
import { Availability } from './availability.ts';
import { MemoryStore } from './memory-store.ts';
import { PostgresStore } from './postgres-store.ts';
import type { ReplicaStore } from './replica-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';
import { MetadataReader } from './repository-metadata.ts';

const skip = withoutPostgres;
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const created = {
  repository,
  repositoryId: 1,
  replicaPath: '@cluster/x',
  primary: 'a',
  updated: ['b'],
  outdated: ['c'],
  isAssigned: false,
};
const write = (updated: readonly string[], outdated: readonly string[] = []) => ({
  repository,
  repositoryId: 1,
  primary: 'a',
  updated,
  outdated,
});
const job = (source: string, target: string): ReplicationJob => ({
  change: 'update',
  repositoryId: 1,
  ...repository,
  replicaPath: '@cluster/x',
  source,
  target,
  correlationId: '',
});

interface Subject {
  readonly store: ReplicaStore;
  consistent(): Promise<readonly string[] | undefined>;
}

/** Runs a test on each store. */
function testStores(name: string, run: (subject: Subject) => Promise<void>): void {
  test(`${name}, in memory`, async () => {
    const store = new MemoryStore();
    const consistent = async () => {
      const storages = store.consistentStorages(repository);
      return storages && [...storages].sort();
    };
    await run({ store, consistent });
  });
  test(`${name}, in PostgreSQL`, { skip }, async () => {
    await using postgres = await startPostgres();
    const lookups = new RepositoryLookups(postgres.database);
    const consistent = async () => {
      const replicas = await lookups.consistentReplicas(repository);
      return replicas && [...replicas.storages].sort();
    };
    await run({ store: new PostgresStore(postgres.database), consistent });
  });
}

testStores(
  'a write leaves behind who missed it, and a copy brings them up',
  async ({ store, consistent }) => {
    assert.equal(await consistent(), undefined);
    await store.recordCreation(created);
    assert.deepEqual(await consistent(), ['a', 'b']);

    await store.recordWrite(write([], ['b', 'c']));
    assert.deepEqual(await consistent(), ['a']);
    await store.recordWrite(write(['b']));
    assert.deepEqual(await consistent(), ['a'], 'one that was behind stays so');

    const { source, target } = (await store.planCopy(job('a', 'b'))) ?? {};
    assert.deepEqual([source, target], [2, 0]);
    const unknown = await store.planCopy(job('a', 'c'));
    assert.equal(unknown?.target, -1);
    await store.recordCopy(job('a', 'b'), 2);
    await store.recordCopy(job('a', 'c'), 2);
    assert.deepEqual(await consistent(), ['a', 'b', 'c']);
  },
);

testStores('a write to replicas that are all behind is refused', async ({ store, consistent }) => {
  await store.recordCreation(created);
  await store.recordWrite(write([], ['b']));
  await assert.rejects(store.recordWrite({ ...write([]), primary: 'b' }), /write to outdated nodes/);
  assert.deepEqual(await consistent(), ['a']);
});

testStores('replicas and repositories are forgotten', async ({ store, consistent }) => {
  await store.recordCreation(created);
  assert.equal(await store.removeReplica(job('a', 'b')), true);
  assert.equal(await store.removeReplica(job('a', 'b')), false);
  assert.deepEqual(await consistent(), ['a']);
  await store.removeInvalidSource(job('a', 'b'));
  assert.equal(await consistent(), undefined);
  await store.recordCreation({ ...created, repositoryId: 2 });
  await store.recordRemoval(repository);
  assert.equal(await consistent(), undefined);
});

async function healthy(
  { database }: TestDatabase,
  praefect: string,
  storages: readonly string[],
): Promise<void> {
  await database.run(sql`
    INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT ${praefect}, 'default', storage, now(), now() FROM unnest(${storages}::text[]) AS up(storage)`);
}

test('the database refuses what another call has created meanwhile', { skip }, async () => {
  await using postgres = await startPostgres();
  const store = new PostgresStore(postgres.database);
  await store.recordCreation(created);
  await assert.rejects(store.recordCreation({ ...created, repositoryId: 2 }), {
    code: 'ALREADY_EXISTS',
    message: 'repository already exists',
  });
  await assert.rejects(
    store.recordCreation({
      ...created,
      repository: { ...repository, relativePath: 'y.git' },
      primary: 'd',
      updated: [],
    }),
    /repository id 1 already in use/,
  );
  await assert.rejects(store.recordWrite({ ...write([]), repositoryId: 9 }), /repository not found/);
  assert.equal(await store.planCopy({ ...job('a', 'b'), repositoryId: 9 }), undefined);
});

test('writes at the same time each count, for all their nodes', { skip }, async () => {
  await using postgres = await startPostgres();
  const store = new PostgresStore(postgres.database);
  await store.recordCreation({ ...created, updated: ['b', 'c'], outdated: [] });

  await Promise.all(Array.from({ length: 20 }, () => store.recordWrite(write(['b', 'c']))));

  const rows = await postgres.database.rows(sql<{ generation: number }>`
    SELECT generation FROM repositories UNION ALL SELECT generation FROM storage_repositories`);
  assert.deepEqual(
    rows.map(({ generation }) => generation),
    [20, 20, 20, 20],
  );
});

test('metadata shows assigned, healthy and valid replicas by the consensus', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const store = new PostgresStore(database);
  const storages = new Map([['default', ['a', 'b', 'c']]]);
  const reader = new MetadataReader(database, storages);
  const availability = new Availability(database, storages);
  await store.recordCreation({ ...created, updated: ['b'] });
  await healthy(postgres, 'one', ['a', 'b']);
  await healthy(postgres, 'two', ['a', 'b']);
  await database.run(sql`UPDATE node_status SET last_seen_active_at = now() - interval '20 seconds'
    WHERE praefect_name = 'two' AND node_name = 'a'`);
  await database.run(sql`INSERT INTO node_status VALUES (100, 'three', 'default', 'b', now(), now())`);
  await store.recordWrite(write([], ['b', 'c']));

  const shown = async () =>
    (await reader.byId(1))?.replicas.map((each) => [
      each.storage,
      each.generation,
      each.isAssigned,
      each.isHealthy,
      each.isValidPrimary,
    ]);
  assert.deepEqual(await shown(), [
    ['a', 1, true, false, false], // one of three Praefects sees it
    ['b', 0, true, true, false],
    ['c', -1, true, false, false],
  ]);
  await database.run(sql`UPDATE node_status SET last_seen_active_at = now()`);
  await database.run(sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', 'a', 1)`);
  assert.deepEqual(await shown(), [
    ['a', 1, true, true, true],
    ['b', 0, false, true, false],
  ]);
  const partiallyAvailable = async () =>
    (await Array.fromAsync(availability.partiallyAvailable('default'))).flat();
  assert.deepEqual(await partiallyAvailable(), []);
  assert.deepEqual(await availability.countUnavailable(10_000), new Map());
  await database.run(sql`UPDATE node_status SET last_seen_active_at = NULL WHERE node_name = 'a'`);
  const [partial] = await partiallyAvailable();
  assert.equal(partial?.relativePath, 'x.git');
  assert.deepEqual(await availability.countUnavailable(10_000), new Map([['default', 1]]));
  assert.equal((await reader.byPath(repository))?.replicaPath, '@cluster/x');
  assert.equal(await reader.byId(2), undefined);
});

test('a valid primary is not about to be deleted, and unassigned only if all are', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await new PostgresStore(database).recordCreation({ ...created, updated: ['b', 'c'] });
  await healthy(postgres, 'one', ['a', 'b', 'c']);
  const valid = async () =>
    (await database.rows(sql<{ storage: string }>`SELECT storage FROM valid_primaries ORDER BY 1`)).map(
      ({ storage }) => storage,
    );
  assert.deepEqual(await valid(), ['a', 'b', 'c']);
  await database.run(sql`INSERT INTO replication_queue (job) VALUES
    ('{"change": "delete_replica", "repository_id": 1, "target_node_storage": "c"}')`);
  assert.deepEqual(await valid(), ['a', 'b']);
  await database.run(sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', 'b', 1)`);
  assert.deepEqual(await valid(), ['b']);
  await database.run(sql`UPDATE storage_repositories SET generation = -1 WHERE storage = 'b'`);
  assert.deepEqual(await valid(), ['a'], 'no candidate is assigned');
});
