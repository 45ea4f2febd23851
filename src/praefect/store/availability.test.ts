import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { Availability } from './availability.ts';
import { MetadataReader } from './repository-metadata.ts';

const skip = withoutPostgres;
const CONFIGURED = new Map([
  ['default', ['b', 'a']],
  ['other', ['a']],
]);
const databaseOf = databaseOfFile(sql`TRUNCATE repositories, replication_queue, node_status CASCADE`);

const availabilityOf = () => new Availability(databaseOf(), CONFIGURED);

/** Records repositories whose only replica is on `a`; their ids count from `first`. */
async function record(virtualStorage: string, paths: readonly string[], first = 1): Promise<void> {
  for (const [index, path] of paths.entries()) {
    const id = first + index;
    await databaseOf().run(sql`INSERT INTO repositories
      VALUES (${virtualStorage}, ${path}, 0, 'a', ${id}, ${`disk/${path}`})`);
    await databaseOf().run(sql`INSERT INTO storage_repositories
      VALUES (${virtualStorage}, ${path}, 'a', 0, ${id})`);
  }
}

async function see(virtualStorage: string, storages: readonly string[]): Promise<void> {
  await databaseOf().run(sql`INSERT INTO node_status
    (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT 'one', ${virtualStorage}, storage, now(), now() FROM unnest(${storages}::text[]) AS up(storage)`);
}

test('unavailable repositories are counted by virtual storage, of those that are configured', {
  skip,
}, async () => {
  await record('default', ['a.git', 'b.git']);
  await record('other', ['a.git'], 3);
  await record('gone', ['a.git'], 4);
  const count = async () => await availabilityOf().countUnavailable(60_000);

  assert.deepEqual(
    await count(),
    new Map([
      ['default', 2],
      ['other', 1],
    ]),
  );
  await see('default', ['a']);
  assert.deepEqual(await count(), new Map([['other', 1]]));
});

test('paths of unavailable repositories are sorted, and not more than wanted', { skip }, async () => {
  await record('default', ['c.git', 'a.git', 'b.git']);
  await record('other', ['0.git'], 4);
  const paths = async (limit: number) => await availabilityOf().unavailablePaths('default', limit);

  assert.deepEqual(await paths(2), ['a.git', 'b.git']);
  assert.deepEqual(await paths(10), ['a.git', 'b.git', 'c.git']);
  await see('default', ['a']);
  assert.deepEqual(await paths(10), []);
});

for (const { state, change, storage = 'a', id = 1, isUnavailable } of [
  { state: 'ready', change: 'delete_replica', isUnavailable: true },
  { state: 'in_progress', change: 'delete_replica', isUnavailable: true },
  { state: 'failed', change: 'delete_replica', isUnavailable: true },
  { state: 'completed', change: 'delete_replica', isUnavailable: false },
  { state: 'dead', change: 'delete_replica', isUnavailable: false },
  { state: 'cancelled', change: 'delete_replica', isUnavailable: false },
  { state: 'ready', change: 'update', isUnavailable: false },
  { state: 'ready', change: 'delete_replica', storage: 'b', isUnavailable: false },
  { state: 'ready', change: 'delete_replica', id: 2, isUnavailable: false },
])
  test(`${state} ${change} of ${id} on ${storage}: the only replica ${
    isUnavailable ? 'is going' : 'stays'
  }`, { skip }, async () => {
    await record('default', ['a.git']);
    await see('default', ['a', 'b']);
    const job = { change, repository_id: id, target_node_storage: storage };
    await databaseOf().run(sql`INSERT INTO replication_queue (state, job)
      VALUES (${state}::replication_job_state, ${JSON.stringify(job)}::jsonb)`);

    const count = await availabilityOf().countUnavailable(60_000);

    assert.equal(count.get('default') ?? 0, isUnavailable ? 1 : 0);
    assert.deepEqual(await availabilityOf().unavailablePaths('default', 5), isUnavailable ? ['a.git'] : []);
  });

test('a repository is partially available in its own virtual storage', { skip }, async () => {
  await record('default', ['a.git']);
  await record('other', ['a.git'], 2);
  await databaseOf().run(sql`UPDATE storage_repositories SET storage = 'b' WHERE repository_id = 1`);
  await see('other', ['a']);
  const partial = async (name: string) =>
    (await Array.fromAsync(availabilityOf().partiallyAvailable(name)))
      .flat()
      .map(({ repositoryId }) => repositoryId);

  assert.deepEqual(await partial('default'), [1]);
  assert.deepEqual(await partial('other'), []);
  assert.deepEqual(await partial('none'), []);
});

test('partially available repositories come a thousand at a time, in the order of ids', {
  skip,
}, async () => {
  await databaseOf().run(sql`INSERT INTO repositories
    SELECT 'default', (2000 - id) || '.git', 0, 'a', id, id || '.git' FROM generate_series(1, 1001) AS id`);

  const pages = await Array.fromAsync(availabilityOf().partiallyAvailable('default'));

  assert.deepEqual(
    pages.map(({ length }) => length),
    [1000, 1],
  );
  assert.deepEqual(
    pages.flat().map(({ repositoryId }) => repositoryId),
    Array.from({ length: 1001 }, (_, index) => index + 1),
  );
});

test('a page without a partially available repository does not come', { skip }, async () => {
  await record('default', ['a.git']);
  await databaseOf().run(sql`INSERT INTO repository_assignments VALUES ('default', 'a.git', 'a', 1)`);
  await see('default', ['a', 'b']);
  // Removal of a replica that does not exist and is not assigned.
  await databaseOf().run(sql`INSERT INTO replication_queue (job) VALUES
    ('{"change": "delete_replica", "repository_id": 1, "target_node_storage": "b"}')`);

  assert.deepEqual(await Array.fromAsync(availabilityOf().partiallyAvailable('default')), []);
});

test('metadata has the facts of the repository, and says when its replicas were verified', {
  skip,
}, async () => {
  await record('default', ['a.git']);
  await record('other', ['a.git'], 2);
  const verifiedAt = new Date('2026-01-02T03:04:05.000Z');
  await databaseOf().run(sql`UPDATE storage_repositories SET verified_at = ${verifiedAt}
    WHERE repository_id = 1`);
  const reader = new MetadataReader(databaseOf(), CONFIGURED);
  const replica = { isHealthy: false, isValidPrimary: false, isAssigned: true };

  assert.deepEqual(await reader.byPath({ virtualStorage: 'default', relativePath: 'a.git' }), {
    ...{ repositoryId: 1, virtualStorage: 'default', relativePath: 'a.git', replicaPath: 'disk/a.git' },
    ...{ primary: 'a', generation: 0, hasExplicitAssignments: false },
    replicas: [
      { ...replica, storage: 'a', generation: 0, verifiedAt },
      { ...replica, storage: 'b', generation: -1, verifiedAt: undefined },
    ],
  });
  const { replicas } = (await reader.byId(2)) ?? {};
  assert.deepEqual(replicas, [{ ...replica, storage: 'a', generation: 0, verifiedAt: undefined }]);
});

test('metadata of a repository without a primary, a path or a generation is empty', { skip }, async () => {
  await databaseOf().run(sql`INSERT INTO repositories (virtual_storage, relative_path, repository_id)
    VALUES ('default', 'a.git', 1)`);
  await databaseOf().run(sql`INSERT INTO repository_assignments VALUES ('default', 'a.git', 'b', 1)`);

  const found = await new MetadataReader(databaseOf(), CONFIGURED).byId(1);

  const { generation, hasExplicitAssignments, primary, replicaPath } = found ?? {};
  assert.deepEqual([primary, replicaPath, generation, hasExplicitAssignments], ['', '', 0, true]);
});

test('metadata of several repositories comes in the order of their ids', { skip }, async () => {
  await record('default', ['b.git', 'a.git', 'c.git']);

  const found = await new MetadataReader(databaseOf(), CONFIGURED).byIds([3, 9, 1]);

  assert.deepEqual(
    found.map(({ relativePath }) => relativePath),
    ['b.git', 'c.git'],
  );
});
