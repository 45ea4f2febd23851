import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import type { ReplicationJob } from '../model/job.ts';
import { PostgresQueue } from '../replication/postgres-queue.ts';
import { PostgresStore } from './postgres-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';
import { RepositoryRemovals } from './repository-removals.ts';

const skip = withoutPostgres;
let postgres: TestDatabase;

before(async () => {
  if (skip === false) postgres = await startPostgres();
});

beforeEach(async () => {
  await postgres?.database.run(sql`TRUNCATE repositories, replication_queue, replication_queue_lock CASCADE`);
});

after(() => postgres?.[Symbol.asyncDispose]());

const key = (relativePath: string, virtualStorage = 'default') => ({ virtualStorage, relativePath });

/** Records repositories with two replicas each; their ids count from 1. */
async function arrange(...repositories: readonly ReturnType<typeof key>[]) {
  const { database } = postgres;
  const store = new PostgresStore(database);
  for (const [index, repository] of repositories.entries())
    await store.recordCreation({
      repository,
      repositoryId: index + 1,
      replicaPath: `@cluster/${index + 1}`,
      primary: 'a',
      updated: ['b'],
      outdated: [],
      isAssigned: true,
    });
  return {
    ...{ database, store, queue: new PostgresQueue(database, lineLogger().logger) },
    ...{ removals: new RepositoryRemovals(database), lookups: new RepositoryLookups(database) },
  };
}

/** A copy of the first repository to the node `c`, which does not have it yet. */
const copy: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, ...key('a.git'), replicaPath: '@cluster/1' },
  ...{ source: 'a', target: 'c', correlationId: '' },
};

const waiting = sql`SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock'`;

test('a repository that is renamed keeps its id and its path on the disks', { skip }, async () => {
  const { database, lookups, removals } = await arrange(key('a.git'), key('b.git'));

  await removals.rename(key('a.git'), 'new.git');

  assert.equal(await lookups.relativePathOf(1), 'new.git');
  assert.equal(await lookups.relativePathOf(2), 'b.git');
  assert.equal(await lookups.relativePathOf(3), undefined);
  assert.equal(await lookups.replicaPath(key('new.git')), '@cluster/1');
  assert.equal(await lookups.exists(key('a.git')), false);
  const rows = await database.rows(sql<{ relative_path: string }>`
    SELECT relative_path FROM storage_repositories WHERE repository_id = 1
    UNION ALL SELECT relative_path FROM repository_assignments WHERE repository_id = 1`);
  assert.deepEqual(
    rows.map((row) => row.relative_path),
    ['new.git', 'new.git', 'new.git', 'new.git'],
  );
});

for (const isTaken of [false, true])
  test(`a copy that ${isTaken ? 'runs' : 'waits'} during a rename is recorded at the new path`, {
    skip,
  }, async () => {
    const { lookups, queue, removals, store } = await arrange(key('a.git'));
    await queue.enqueue(copy);
    const [running] = isTaken ? await queue.dequeue('default', 'c', 1) : [];

    await removals.rename(key('a.git'), 'new.git');
    const [job] = running ? [running] : await queue.dequeue('default', 'c', 1);
    await store.recordCopy(job ?? assert.fail(), 0);

    const all = new Set(['a', 'b', 'c']);
    assert.deepEqual((await lookups.consistentReplicas(key('new.git')))?.storages, all);
    assert.deepEqual((await lookups.writeFacts(key('new.git')))?.storages, all);
    // The old path is free on all nodes.
    const created = { repository: key('a.git'), repositoryId: 2, replicaPath: '@cluster/2' };
    await store.recordCreation({
      ...{ ...created, primary: 'c', updated: ['a', 'b'], outdated: [], isAssigned: false },
    });
  });

test('a copy that ends while its repository is renamed is recorded at the new path', { skip }, async () => {
  const { database, lookups, store } = await arrange(key('a.git'));
  let recorded: Promise<void> | undefined;

  await database.transaction(async (executor) => {
    await sql`UPDATE repositories SET relative_path = 'new.git'`.execute(executor);
    await sql`UPDATE storage_repositories SET relative_path = 'new.git'`.execute(executor);
    recorded = store.recordCopy({ ...copy, target: 'b' }, 0);
    await until(async () => (await database.rows(waiting)).length > 0);
  });
  await recorded;

  assert.deepEqual((await lookups.consistentReplicas(key('new.git')))?.storages, new Set(['a', 'b']));
});

test('copies of a repository before and after a rename are the same job', { skip }, async () => {
  const { database, queue, removals } = await arrange(key('a.git'), key('b.git'));
  await queue.enqueue(copy);
  await queue.enqueue({ ...copy, ...key('b.git'), repositoryId: 2 });

  await removals.rename(key('a.git'), 'new.git');

  assert.equal(await queue.enqueue({ ...copy, ...key('new.git') }), false, 'it waits');
  const jobs = await queue.dequeue('default', 'c', 10);
  assert.deepEqual(
    jobs.map(({ relativePath, repositoryId }) => [relativePath, repositoryId]),
    [
      ['new.git', 1],
      ['b.git', 2],
    ],
  );
  await queue.enqueue({ ...copy, ...key('new.git') });
  assert.deepEqual(await queue.dequeue('default', 'c', 10), [], 'one copy to a node at a time');
  for (const { id } of jobs) await queue.acknowledge(id, 'completed');
  assert.equal((await queue.dequeue('default', 'c', 10)).length, 1);
  assert.deepEqual(await database.rows(sql`SELECT id FROM replication_queue_lock WHERE acquired`), [
    { id: 'default|c|new.git' },
  ]);
});

test('a removal that waits does not keep its repository from a name, nor run beside a copy', {
  skip,
}, async () => {
  const { database, queue, removals } = await arrange(key('a.git'), key('b.git'));
  const removal: ReplicationJob = { ...copy, change: 'delete_replica', replicaPath: '', source: '' };
  await queue.enqueue(removal);
  // Of a repository that was removed since.
  await queue.enqueue({ ...removal, ...key('new.git'), repositoryId: 9 });

  await removals.rename(key('a.git'), 'new.git');

  const jobs = await database.rows(sql`SELECT job->>'repository_id' AS id FROM replication_queue`);
  assert.deepEqual(jobs, [{ id: '9' }], 'the reconciler adds it again');
});

test('a repository cannot be renamed to one that exists, or if it does not', { skip }, async () => {
  const { lookups, removals } = await arrange(key('a.git'), key('b.git'));

  await assert.rejects(removals.rename(key('a.git'), 'b.git'), {
    code: 'ALREADY_EXISTS',
    message: 'target repo exists already',
  });
  for (const unknown of [key('c.git'), key('a.git', 'other')])
    await assert.rejects(removals.rename(unknown, 'd.git'), {
      code: 'NOT_FOUND',
      message: 'repository does not exist',
    });

  assert.deepEqual([await lookups.relativePathOf(1), await lookups.relativePathOf(2)], ['a.git', 'b.git']);
});

test('a repository that is removed returns its replicas, once', { skip }, async () => {
  const { lookups, removals } = await arrange(key('a.git'), key('b.git'));

  const removed = await removals.remove(key('a.git'));

  assert.equal(removed?.replicaPath, '@cluster/1');
  assert.deepEqual(removed.storages.toSorted(), ['a', 'b']);
  assert.equal(await removals.remove(key('a.git')), undefined);
  assert.equal(await lookups.exists(key('b.git')), true);
});

test('of a virtual storage that is removed, repositories and jobs go, and no others', { skip }, async () => {
  const { database, lookups, removals } = await arrange(key('a.git'), key('a.git', 'default-2'));
  for (const name of ['default', 'default-2']) {
    const lock = `${name}|b|a.git`;
    const job = { virtual_storage: name, target_node_storage: 'b', relative_path: 'a.git', change: 'update' };
    await database.run(sql`INSERT INTO replication_queue_lock (id) VALUES (${lock})`);
    await database.run(sql`INSERT INTO replication_queue (lock_id, job)
      VALUES (${lock}, ${JSON.stringify(job)}::jsonb)`);
    await database.run(sql`INSERT INTO replication_queue_job_lock (job_id, lock_id, triggered_at)
      SELECT id, lock_id, now() FROM replication_queue WHERE lock_id = ${lock}`);
  }

  await removals.removeAll('default');

  assert.equal(await lookups.exists(key('a.git')), false);
  assert.equal(await lookups.exists(key('a.git', 'default-2')), true);
  const left = await database.rows(sql<{ name: string }>`
    SELECT id AS name FROM replication_queue_lock
    UNION ALL SELECT lock_id FROM replication_queue
    UNION ALL SELECT lock_id FROM replication_queue_job_lock`);
  assert.deepEqual(
    left.map((row) => row.name),
    ['default-2|b|a.git', 'default-2|b|a.git', 'default-2|b|a.git'],
  );
});
