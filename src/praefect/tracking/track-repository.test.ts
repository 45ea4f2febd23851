import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { requestFor, trackedCluster } from '#testkit/praefect/tracked-cluster';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { trackRepository } from './track-repository.ts';

const skip = withoutPostgres;
const PREFIX = 'attempting to track repository in praefect database: ';
const ADDED = 'Finished adding new repository to be tracked in praefect database.';
const queued = (storage: string) => `Added replication job to replicate repository to "${storage}".`;
const copied = (storage: string) => `Finished replicating repository to "${storage}".`;

const databaseOf = databaseOfFile(sql`TRUNCATE repositories, replication_queue CASCADE`);

async function replicas(): Promise<Record<string, number>> {
  const rows = await databaseOf().rows(sql<{ storage: string; generation: number }>`
    SELECT storage, generation FROM storage_repositories ORDER BY storage`);
  return Object.fromEntries(rows.map(({ generation, storage }) => [storage, generation]));
}

async function assigned(): Promise<string[]> {
  const rows = await databaseOf().rows(sql<{ storage: string }>`
    SELECT storage FROM repository_assignments ORDER BY storage`);
  return rows.map(({ storage }) => storage);
}

async function jobs(): Promise<unknown[]> {
  const rows = await databaseOf().rows(sql<{ job: Record<string, unknown> }>`
    SELECT job FROM replication_queue ORDER BY id`);
  return rows.map(({ job }) => job);
}

test('without a replication factor all other nodes get a copy, by jobs', { skip }, async () => {
  const cluster = trackedCluster(databaseOf());

  await trackRepository(cluster, requestFor('a.git'));

  assert.deepEqual(cluster.printed, [ADDED, queued('gitaly-2'), queued('gitaly-3')]);
  const row = await databaseOf().row(sql<{ id: number }>`
    SELECT repository_id AS id, virtual_storage, relative_path, replica_path, "primary", generation
    FROM repositories`);
  const { id, ...facts } = row ?? { id: 0 };
  assert.deepEqual(facts, {
    virtual_storage: 'default',
    relative_path: 'a.git',
    replica_path: 'disk/a.git',
    primary: 'gitaly-1',
    generation: 0,
  });
  assert.deepEqual(await replicas(), { 'gitaly-1': 0 });
  assert.deepEqual(await assigned(), []);
  const common = {
    ...{ change: 'update', repository_id: id, virtual_storage: 'default', relative_path: 'a.git' },
    ...{ replica_path: 'disk/a.git', source_node_storage: 'gitaly-1', params: null },
  };
  assert.deepEqual(await jobs(), [
    { ...common, target_node_storage: 'gitaly-2' },
    { ...common, target_node_storage: 'gitaly-3' },
  ]);
});

test('with a replication factor so many nodes are assigned, and get a copy', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { factor: 2 });

  await trackRepository(cluster, requestFor('a.git', { authoritativeStorage: 'gitaly-1' }));

  const [first, other = ''] = await assigned();
  assert.equal(first, 'gitaly-1');
  assert.match(other, /^gitaly-[23]$/);
  assert.deepEqual(await assigned(), ['gitaly-1', other]);
  assert.deepEqual(cluster.printed, [ADDED, queued(other)]);
});

test('with a replication factor of one only the node that has it is assigned', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { factor: 1 });

  await trackRepository(cluster, requestFor('a.git'));

  assert.deepEqual(await assigned(), ['gitaly-1']);
  assert.deepEqual(cluster.printed, [ADDED]);
});

test('copies are made at once if that is wanted, of replicas that are behind', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { replicatesNow: true });

  await trackRepository(cluster, requestFor('a.git'));

  assert.deepEqual(cluster.printed, [ADDED, copied('gitaly-2'), copied('gitaly-3')]);
  assert.deepEqual(cluster.copies, [
    'gitaly-1 disk/a.git > gitaly-2 disk/a.git',
    'gitaly-1 disk/a.git > gitaly-3 disk/a.git',
  ]);
  assert.deepEqual(await replicas(), { 'gitaly-1': 0, 'gitaly-2': 0, 'gitaly-3': 0 });
  assert.deepEqual(await jobs(), []);

  await databaseOf().run(sql`DELETE FROM storage_repositories WHERE storage = 'gitaly-3'`);
  await trackRepository(cluster, requestFor('a.git'));

  assert.deepEqual(cluster.printed.slice(3), [
    'repository is already tracked in praefect database',
    ADDED,
    copied('gitaly-2'),
    copied('gitaly-3'),
  ]);
  assert.equal(cluster.copies.length, 3, 'the replica of gitaly-2 is up to date');
});

test('a repository that is already tracked gets jobs with its id, once', { skip }, async () => {
  const cluster = trackedCluster(databaseOf());
  await databaseOf().run(sql`INSERT INTO repositories (virtual_storage, relative_path, repository_id)
    VALUES ('default', 'a.git', 77), ('other', 'a.git', 78), ('default', 'b.git', 79)`);

  await trackRepository(cluster, requestFor('a.git'));

  const ids = (await jobs()).map((job) => (job as { repository_id: number }).repository_id);
  assert.deepEqual(ids, [77, 77]);
  cluster.printed.length = 0;
  await trackRepository(cluster, requestFor('a.git'));
  assert.deepEqual(cluster.printed, [
    'repository is already tracked in praefect database',
    ADDED,
    'replication event queue already has similar entry: ' +
      'replication event "" -> "default" -> "gitaly-2" -> "a.git" already exists.',
  ]);
});

for (const [name, change, reason] of [
  ['a repository that the node lacks', { replicaPath: 'x' }, 'authoritative repository does not exist'],
  ['an unknown virtual storage', { virtualStorage: 'x' }, 'virtual storage "x" not found'],
  ['an unknown node', { authoritativeStorage: 'x' }, 'node "x" not found'],
] as const)
  test(`tracking of ${name} is refused`, { skip }, async () => {
    const cluster = trackedCluster(databaseOf());

    await assert.rejects(trackRepository(cluster, requestFor('a.git', change)), {
      message: PREFIX + reason,
    });

    assert.deepEqual(await replicas(), {});
    assert.deepEqual(cluster.printed, []);
  });

test('a path that the node refuses is named, and counts as missing', { skip }, async () => {
  const cluster = trackedCluster(databaseOf());

  await assert.rejects(trackRepository(cluster, requestFor('a.git', { replicaPath: '../a' })), {
    message: `${PREFIX}authoritative repository does not exist`,
  });

  assert.deepEqual(cluster.printed, ['checking if repository exists "gitaly-1", "../a"']);
});

test('a copy that fails is reported as Gitaly does, and the replica stays behind', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { replicatesNow: true });
  cluster.copyFails = new GitalyError('UNAVAILABLE', 'no route');
  await assert.rejects(trackRepository(cluster, requestFor('a.git')), {
    message: `${PREFIX}processing replication event rpc error: code = Unavailable desc = no route`,
  });
  cluster.copyFails = new GitalyError('NOT_FOUND', 'invalid source repository');
  await assert.rejects(trackRepository(cluster, requestFor('a.git')), {
    message: `${PREFIX}processing replication event invalid source repository`,
  });

  assert.deepEqual(await replicas(), { 'gitaly-1': 0 });
});
