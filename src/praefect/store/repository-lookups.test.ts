import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { PostgresStore } from './postgres-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';

const skip = withoutPostgres;
const databaseOf = databaseOfFile(sql`TRUNCATE repositories, node_status CASCADE`);

const key = (relativePath: string, virtualStorage = 'default') => ({ virtualStorage, relativePath });

/** Records a repository with up-to-date replicas on `b` and `a`, of which `a` is the primary. */
async function record(id: number, repository: ReturnType<typeof key>): Promise<void> {
  await new PostgresStore(databaseOf()).recordCreation({
    ...{ repository, repositoryId: id, replicaPath: `@cluster/${id}` },
    ...{ primary: 'a', updated: ['b'], outdated: [], isAssigned: false },
  });
}

async function arrange() {
  await record(1, key('x.git'));
  await record(2, key('x.git', 'other'));
  await record(3, key('y.git'));
  const database = databaseOf();
  return { database, lookups: new RepositoryLookups(database) };
}

test('replicas for a read are those of the generation of their own repository', { skip }, async () => {
  const { database, lookups } = await arrange();
  await database.run(sql`UPDATE storage_repositories SET generation = -1
    WHERE (repository_id, storage) IN ((1, 'b'), (2, 'a'))`);

  assert.deepEqual(await lookups.consistentReplicas(key('x.git')), {
    replicaPath: '@cluster/1',
    storages: new Set(['a']),
  });
  assert.deepEqual((await lookups.consistentReplicas(key('x.git', 'other')))?.storages, new Set(['b']));
  assert.deepEqual((await lookups.consistentReplicas(key('y.git')))?.storages, new Set(['a', 'b']));
  await database.run(sql`UPDATE repositories SET generation = 5 WHERE repository_id = 3`);
  assert.equal(await lookups.consistentReplicas(key('y.git')), undefined);
  assert.equal(await lookups.consistentReplicas(key('z.git')), undefined);
});

test('a write gets the facts of its repository, and of no other', { skip }, async () => {
  const { database, lookups } = await arrange();
  await database.run(sql`INSERT INTO repository_assignments VALUES
    ('default', 'x.git', 'z', 1), ('default', 'x.git', 'a', 1), ('default', 'y.git', 'b', 3)`);
  await database.run(sql`UPDATE storage_repositories SET generation = -1
    WHERE (repository_id, storage) IN ((1, 'b'))`);

  assert.deepEqual(await lookups.writeFacts(key('x.git')), {
    ...{ repositoryId: 1, replicaPath: '@cluster/1', primary: 'a', isPrimaryValid: false },
    ...{ storages: new Set(['a']), assigned: ['a', 'z'] },
  });
  assert.deepEqual((await lookups.writeFacts(key('x.git', 'other')))?.assigned, []);
  assert.equal(await lookups.writeFacts(key('z.git')), undefined);
  // Those that begin while the first one runs share a statement.
  const own = [key('x.git'), key('x.git'), key('x.git', 'other')];
  const together = await Promise.all(own.map((repository) => lookups.writeFacts(repository)));
  assert.deepEqual(
    together.map((facts) => facts?.repositoryId),
    [1, 1, 2],
  );
});

test('a primary is valid for a write while its own node is healthy', { skip }, async () => {
  const { database, lookups } = await arrange();
  const isValid = async () => (await lookups.writeFacts(key('x.git')))?.isPrimaryValid;
  const see = (virtualStorage: string, storage: string) =>
    database.run(sql`INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
      VALUES ('one', ${virtualStorage}, ${storage}, now(), now())`);

  await see('other', 'a');
  await see('default', 'b');
  assert.equal(await isValid(), false);
  await see('default', 'a');
  assert.equal(await isValid(), true);
});

test('a repository without a primary has none to write to', { skip }, async () => {
  const { database, lookups } = await arrange();
  await database.run(sql`UPDATE repositories SET "primary" = NULL WHERE repository_id = 1`);

  const facts = await lookups.writeFacts(key('x.git'));

  assert.deepEqual([facts?.primary, facts?.isPrimaryValid], [undefined, false]);
});

test('each new repository gets an id of its own, one that exists gets none', { skip }, async () => {
  const { lookups } = await arrange();

  const ids = [await lookups.reserveId(key('new.git')), await lookups.reserveId(key('new.git'))];

  assert.equal(Number(ids[1]) - Number(ids[0]), 1);
  assert.equal(typeof (await lookups.reserveId(key('y.git', 'other'))), 'number');
  assert.equal(await lookups.reserveId(key('y.git')), undefined);
});

test('paths of a virtual storage come sorted, in batches, each once', { skip }, async () => {
  const { lookups } = await arrange();
  await record(4, key('a.git'));
  const batches = (batchSize?: number, virtualStorage = 'default') =>
    Array.fromAsync(lookups.relativePaths(virtualStorage, batchSize));

  assert.deepEqual(await batches(1), [['a.git'], ['x.git'], ['y.git']]);
  assert.deepEqual(await batches(2), [['a.git', 'x.git'], ['y.git']]);
  for (const size of [3, 4, undefined]) assert.deepEqual(await batches(size), [['a.git', 'x.git', 'y.git']]);
  assert.deepEqual(await batches(1, 'other'), [['x.git']]);
  assert.deepEqual(await batches(1, 'none'), []);
});
