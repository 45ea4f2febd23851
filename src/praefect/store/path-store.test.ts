import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { PathStore } from './path-store.ts';
import { PostgresStore } from './postgres-store.ts';

const skip = withoutPostgres;
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
/** A write to a repository without a record: the router has reserved an id. */
const write = { repository, repositoryId: 7, primary: 'a', updated: ['b'], outdated: ['c'] };
const databaseOf = databaseOfFile(sql`TRUNCATE repositories CASCADE`);

async function records(): Promise<unknown> {
  const replicas = await databaseOf().rows(sql<{ name: string }>`
    SELECT storage || ' ' || generation AS name FROM storage_repositories ORDER BY storage`);
  const [repositoryRow] = await databaseOf().rows(sql<object>`
    SELECT repository_id AS id, relative_path, replica_path, "primary", generation FROM repositories`);
  return { ...repositoryRow, replicas: replicas.map(({ name }) => name) };
}

const RECORD = { id: 7, relative_path: 'x.git', replica_path: 'x.git', primary: null };

test('the first write of a repository without a record makes one, at the path of the clients', {
  skip,
}, async () => {
  const store = new PathStore(databaseOf());

  assert.deepEqual(await store.recordWrite(write), ['a', 'b']);

  assert.deepEqual(await records(), { ...RECORD, generation: 0, replicas: ['a 0', 'b 0'] });
  const assigned = await databaseOf().rows(sql`SELECT FROM repository_assignments`);
  assert.deepEqual(assigned, []);
});

test('a later write is recorded by the id of the record, whatever id the router has reserved', {
  skip,
}, async () => {
  const store = new PathStore(databaseOf());
  await store.recordWrite(write);

  const written = await store.recordWrite({ ...write, repositoryId: 8, updated: [], outdated: ['b', 'c'] });

  assert.deepEqual(written, ['a']);
  assert.deepEqual(await records(), { ...RECORD, generation: 1, replicas: ['a 1', 'b 0'] });
});

test('the first write without its primary is recorded for its successors', { skip }, async () => {
  const store = new PathStore(databaseOf());

  const written = await store.recordWrite({ ...write, successors: [['c', 'b'], ['a']] });

  assert.deepEqual(written.toSorted(), ['b', 'c']);
  assert.deepEqual(await records(), { ...RECORD, generation: 0, replicas: ['b 0', 'c 0'] });
});

test('a first write during which another one makes the record is recorded, too', { skip }, async () => {
  const database = databaseOf();
  const store = new PathStore(database);
  const isWaiting = async () =>
    (await database.row(sql`SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`)) !== undefined;

  const written = await database.transaction(async (executor) => {
    await sql`INSERT INTO repositories
      (virtual_storage, relative_path, replica_path, generation, repository_id)
      VALUES ('default', 'x.git', 'x.git', 0, 7)`.execute(executor);
    await sql`INSERT INTO storage_repositories
      (virtual_storage, relative_path, storage, generation, repository_id)
      VALUES ('default', 'x.git', 'a', 0, 7), ('default', 'x.git', 'b', 0, 7)`.execute(executor);
    const writing = store.recordWrite({ ...write, repositoryId: 8 });
    await until(isWaiting, 'the record of the second write waits');
    return { writing };
  });

  assert.deepEqual((await written.writing).toSorted(), ['a', 'b']);
  assert.deepEqual(await records(), { ...RECORD, generation: 1, replicas: ['a 1', 'b 1'] });
});

test('a first write that finds its id taken by another repository is refused', { skip }, async () => {
  const database = databaseOf();
  await new PostgresStore(database).recordCreation({
    ...{ ...write, repository: { ...repository, relativePath: 'y.git' }, updated: [] },
    ...{ replicaPath: 'y.git', isAssigned: false },
  });

  await assert.rejects(new PathStore(database).recordWrite({ ...write, primary: 'z' }), {
    message: 'repository id 7 already in use',
  });
});
