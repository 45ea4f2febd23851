import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/start-postgres';
import { sql } from '../database/database.ts';
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
  return { database, removals: new RepositoryRemovals(database), lookups: new RepositoryLookups(database) };
}

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
