import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { GENERATED_STORAGES, generateCluster } from '#testkit/praefect/generate-cluster';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import type { ReplicationJob } from '../model/job.ts';
import { Availability } from './availability.ts';
import { MemoryStore } from './memory-store.ts';
import { PostgresStore } from './postgres-store.ts';
import type { ReplicaStore } from './replica-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';
import { MetadataReader } from './repository-metadata.ts';

const skip = withoutPostgres;
let postgres: TestDatabase;

before(async () => {
  if (skip === false) postgres = await startPostgres();
});

const empty = async (): Promise<void> => {
  await postgres?.database.run(sql`TRUNCATE repositories, replication_queue, node_status CASCADE`);
};

beforeEach(empty);

after(() => postgres?.[Symbol.asyncDispose]());

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

// Symptom: after accept-dataloss during a copy, the repository had no up-to-date replica again.
testStores('a copy leaves a generation that is higher', async ({ store, consistent }) => {
  await store.recordCreation({ ...created, outdated: [] });
  await store.recordWrite(write(['b']));

  await store.recordCopy(job('a', 'b'), 0);

  assert.deepEqual(await consistent(), ['a', 'b']);
  assert.deepEqual((await store.planCopy(job('a', 'b')))?.target, 1);
});

testStores(
  'the first successor that was up to date stands for a repository without its primary',
  async ({ store, consistent }) => {
    await store.recordCreation({ ...created, updated: ['b', 'c'], outdated: [] });
    await store.recordWrite(write(['b'], ['c'])); // c is behind now

    const successors = [['c'], ['b', 'c'], ['a']];
    assert.deepEqual(await store.recordWrite({ ...write([], ['b', 'c']), successors }), ['b']);
    assert.deepEqual(await consistent(), ['b']);
    // Another write of the same primary: only b is up to date now, and so on.
    assert.deepEqual(await store.recordWrite({ ...write([], ['b', 'c']), successors }), ['b']);
    await assert.rejects(store.recordWrite({ ...write([]), successors: [['c']] }), /write to outdated nodes/);
    assert.deepEqual(await consistent(), ['b'], 'acknowledged writes are there');
  },
);

testStores('without a successor that was up to date the primary stays', async ({ store, consistent }) => {
  await store.recordCreation({ ...created, updated: [], outdated: ['b', 'c'] });
  assert.deepEqual(await store.recordWrite({ ...write([]), successors: [['b'], ['c']] }), ['a']);
  assert.deepEqual(await consistent(), ['a']);
});

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
  const plans = await Promise.all([store.planCopy(job('a', 'b')), store.planCopy(job('none', 'a'))]);
  assert.deepEqual(
    plans.map((plan) => [plan?.source, plan?.target]),
    [
      [0, -1],
      [-1, 0],
    ],
  );
  assert.deepEqual(await consistent(), ['a']);
  await store.recordRemoval(repository);
  assert.equal(await consistent(), undefined);
  assert.equal(await store.removeReplica(job('a', 'b')), false);
});

async function healthy(praefect: string, storages: readonly string[]): Promise<void> {
  await postgres.database.run(sql`
    INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT ${praefect}, 'default', storage, now(), now() FROM unnest(${storages}::text[]) AS up(storage)`);
}

testStores(
  'a repository stays known without its last replica, and is written only when it has one again',
  async ({ store, consistent }) => {
    await store.recordCreation({ ...created, outdated: [] });

    await store.removeInvalidSource(job('a', 'c'));
    assert.deepEqual(await consistent(), ['b']);
    await store.removeInvalidSource(job('b', 'c'));

    await assert.rejects(store.recordWrite(write(['b'])), { message: 'write to outdated nodes' });
    assert.deepEqual(
      await store.planCopy(job('b', 'c')).then((plan) => [plan?.source, plan?.target]),
      [-1, -1],
    );
    await store.recordCopy(job('b', 'c'), 0);
    assert.deepEqual(await consistent(), ['c']);
  },
);

test('dataloss reports a repository without its last replica, and no other gets its path', {
  skip,
}, async () => {
  const { database } = postgres;
  const store = new PostgresStore(database);
  await store.recordCreation({ ...created, updated: [], outdated: [] });

  await store.removeInvalidSource(job('a', 'c'));

  const availability = new Availability(database, new Map([['default', ['a', 'b', 'c']]]));
  assert.deepEqual(await availability.unavailablePaths('default', 10), ['x.git']);
  const partial = (await Array.fromAsync(availability.partiallyAvailable('default'))).flat();
  assert.deepEqual(
    partial.map(({ relativePath }) => relativePath),
    ['x.git'],
  );
  assert.equal(await new RepositoryLookups(database).reserveId(repository), undefined);
});

test('the database refuses what another call has created meanwhile', { skip }, async () => {
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
  // Born failing: a write that ended while its repository was removed was INTERNAL.
  await assert.rejects(store.recordWrite({ ...write([]), repositoryId: 9 }), {
    code: 'NOT_FOUND',
    message: 'repository not found',
  });
  assert.equal(await store.planCopy({ ...job('a', 'b'), repositoryId: 9 }), undefined);
});

test('a replica with another path than its repository takes part in nothing', { skip }, async () => {
  const { database } = postgres;
  const lookups = new RepositoryLookups(database);
  await new PostgresStore(database).recordCreation({ ...created, updated: ['b'] });
  await database.run(sql`UPDATE storage_repositories SET relative_path = 'old.git' WHERE storage = 'b'`);

  assert.deepEqual((await lookups.consistentReplicas(repository))?.storages, new Set(['a']));
  assert.deepEqual((await lookups.writeFacts(repository))?.storages, new Set(['a']));
});

test('writes at the same time each count, for all their nodes', { skip }, async () => {
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

test('a write counts for all its nodes, however PostgreSQL plans the statement', { skip }, async () => {
  const { database } = postgres;
  const store = new PostgresStore(database);
  const storages = [...GENERATED_STORAGES];
  // The plan depends on the sizes of the tables, once these are known.
  for (let repositories = 10; repositories <= 1000; repositories *= 10) {
    await empty();
    await generateCluster(database, repositories);
    const [primary = '', ...updated] = storages;
    await store.recordWrite({ ...write(updated), primary });
    const rows = await database.rows(sql<{ storage: string }>`
      SELECT storage FROM storage_repositories JOIN repositories USING (repository_id, generation)
      WHERE repository_id = 1 AND generation = 6 ORDER BY storage`);
    assert.deepEqual(
      rows.map(({ storage }) => storage),
      storages,
      `${repositories} repositories`,
    );
  }
});

test('metadata shows assigned, healthy and valid replicas by the consensus', { skip }, async () => {
  const { database } = postgres;
  const store = new PostgresStore(database);
  const storages = new Map([['default', ['a', 'b', 'c']]]);
  const reader = new MetadataReader(database, storages);
  const availability = new Availability(database, storages);
  await store.recordCreation({ ...created, updated: ['b'] });
  await healthy('one', ['a', 'b']);
  await healthy('two', ['a', 'b']);
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
  const { database } = postgres;
  await new PostgresStore(database).recordCreation({ ...created, updated: ['b', 'c'] });
  await healthy('one', ['a', 'b', 'c']);
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

// `a` and `b` are configured, `z` is not. Shown are the generation of each replica, and whether it
// is Assigned, Healthy, a Valid primary. The cases and results are those of Gitaly 19.0.
const METADATA: readonly {
  readonly replicas: Readonly<Record<string, number>>;
  readonly assigned?: string;
  readonly down?: string;
  readonly shown: string;
  readonly isPartial: boolean;
}[] = [
  { replicas: { a: 0, b: 0 }, shown: 'a 0 AHV, b 0 AHV', isPartial: false },
  { replicas: { a: 1, b: 1, z: 0 }, shown: 'a 1 AHV, b 1 AHV, z 0 ', isPartial: false },
  { replicas: { a: 0, b: 0, z: 1 }, shown: 'a 0 AH, b 0 AH, z 1 ', isPartial: true },
  { replicas: { a: 10 }, shown: 'a 10 AHV, b -1 AH', isPartial: true },
  { replicas: { a: 10, b: 0 }, shown: 'a 10 AHV, b 0 AH', isPartial: true },
  { replicas: { a: 0 }, assigned: 'a', shown: 'a 0 AHV', isPartial: false },
  { replicas: { a: 1, b: 0 }, assigned: 'a', shown: 'a 1 AHV, b 0 H', isPartial: false },
  { replicas: { a: 0 }, assigned: 'ab', shown: 'a 0 AHV, b -1 AH', isPartial: true },
  { replicas: { a: 1, b: 0 }, assigned: 'ab', shown: 'a 1 AHV, b 0 AH', isPartial: true },
  { replicas: { a: 0, b: 1 }, assigned: 'a', shown: 'a 0 AH, b 1 HV', isPartial: true },
  { replicas: { b: 0 }, assigned: 'a', shown: 'a -1 AH, b 0 HV', isPartial: true },
  { replicas: { z: 0 }, assigned: 'a', shown: 'a -1 AH, z 0 ', isPartial: true },
  { replicas: { a: 1 }, assigned: 'az', shown: 'a 1 AHV', isPartial: false },
  { replicas: { a: 1, z: 0 }, assigned: 'az', shown: 'a 1 AHV, z 0 ', isPartial: false },
  { replicas: { z: 0 }, assigned: 'z', shown: 'a -1 AH, b -1 AH, z 0 ', isPartial: true },
  { replicas: { a: 0, b: 0 }, assigned: 'ab', down: 'ab', shown: 'a 0 A, b 0 A', isPartial: true },
  { replicas: { a: 0, b: 0 }, assigned: 'a', down: 'a', shown: 'a 0 A, b 0 HV', isPartial: true },
  { replicas: { a: 0, b: 0 }, assigned: 'a', down: 'b', shown: 'a 0 AHV, b 0 ', isPartial: false },
  { replicas: { a: 0, b: 0 }, assigned: 'ab', down: 'b', shown: 'a 0 AHV, b 0 A', isPartial: true },
];

for (const { assigned = '', down = '', isPartial, replicas, shown } of METADATA)
  test(`metadata of ${shown}, assigned: ${assigned || 'none'}`, { skip }, async () => {
    const { database } = postgres;
    const storages = new Map([['default', ['a', 'b']]]);
    await healthy(
      'one',
      ['a', 'b'].filter((storage) => !down.includes(storage)),
    );
    await database.run(sql`INSERT INTO repositories
      VALUES ('default', 'x.git', ${Math.max(...Object.values(replicas))}, 'a', 1, 'x')`);
    for (const [storage, generation] of Object.entries(replicas))
      await database.run(
        sql`INSERT INTO storage_repositories VALUES ('default', 'x.git', ${storage}, ${generation}, 1)`,
      );
    for (const storage of assigned)
      await database.run(sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', ${storage}, 1)`);

    const found = await new MetadataReader(database, storages).byPath(repository);

    const text = found?.replicas.map(({ generation, storage, ...is }) => {
      const flags = [is.isAssigned && 'A', is.isHealthy && 'H', is.isValidPrimary && 'V'];
      return `${storage} ${generation} ${flags.filter(Boolean).join('')}`;
    });
    assert.equal(text?.join(', '), shown);
    const partial = await Array.fromAsync(new Availability(database, storages).partiallyAvailable('default'));
    assert.deepEqual(partial.flat(), isPartial ? [found] : []);
  });
