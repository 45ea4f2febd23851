import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { schemaFacts } from '#testkit/praefect/schema-facts';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database.ts';
import { DatabaseListener } from '../listener.ts';
import {
  applyAllMigrations,
  applyMigration,
  migrationStatus,
  migrations,
  migrationsToRevert,
  pendingMigrations,
  revertMigration,
} from './migrate.ts';

const skip = withoutPostgres;
/** Facts of the schema of Gitaly 19.0. */
const expected = readFileSync(join(import.meta.dirname, 'fixtures/schema-19.0.txt'), 'utf8')
  .trim()
  .split('\n');

test('the migrations make the schema of 19.0', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { database } = postgres;

  const applied = await applyAllMigrations(database);

  assert.equal(applied, 43);
  assert.deepEqual(await schemaFacts(database), expected);
  assert.deepEqual(await pendingMigrations(database), []);
});

test('all migrations can be reverted and applied again', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { database } = postgres;
  await applyAllMigrations(database);

  for (const migration of await migrationsToRevert(database, migrations.length))
    await revertMigration(database, migration);

  assert.deepEqual(
    (await schemaFacts(database)).filter((fact) => !fact.includes('schema_migrations')),
    [],
  );
  await applyAllMigrations(database);
  assert.deepEqual(await schemaFacts(database), expected);
});

test('a database of 14.0 with repositories is brought up to date', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { database } = postgres;
  const since = migrations.findIndex(({ id }) => id === '20210727085659_repository_ids');
  for (const migration of migrations.slice(0, since))
    await applyMigration(database, migration, { ignoreUnknown: false });
  await database.run(sql`INSERT INTO repositories VALUES ('default', 'a.git', 4, 'gitaly-1')`);
  await database.run(sql`INSERT INTO storage_repositories VALUES ('default', 'a.git', 'gitaly-1', 4)`);
  await database.run(sql`INSERT INTO storage_repositories VALUES ('default', 'deleted.git', 'gitaly-1', 1)`);
  await database.run(sql`INSERT INTO repository_assignments VALUES ('default', 'a.git', 'gitaly-1')`);
  await database.run(sql`INSERT INTO replication_queue_lock VALUES ('default|gitaly-2|a.git', true)`);
  await database.run(sql`INSERT INTO replication_queue (state, lock_id, job)
    VALUES ('in_progress', 'default|gitaly-2|a.git', '{"change": "gc"}')`);
  await database.run(sql`INSERT INTO replication_queue_job_lock (job_id, lock_id)
    SELECT id, lock_id FROM replication_queue`);

  await applyAllMigrations(database);

  assert.deepEqual(await database.rows(sql`SELECT * FROM repositories`), [
    {
      virtual_storage: 'default',
      relative_path: 'a.git',
      generation: 4,
      primary: 'gitaly-1',
      repository_id: 1,
      replica_path: 'a.git',
    },
  ]);
  assert.deepEqual(await database.rows(sql`SELECT relative_path, repository_id FROM storage_repositories`), [
    { relative_path: 'a.git', repository_id: 1 },
  ]);
  assert.deepEqual(await database.rows(sql`SELECT storage, repository_id FROM repository_assignments`), [
    { storage: 'gitaly-1', repository_id: 1 },
  ]);
  assert.deepEqual(await database.rows(sql`SELECT acquired FROM replication_queue_lock`), [
    { acquired: false },
  ]);
  assert.deepEqual(await database.rows(sql`SELECT id FROM replication_queue`), []);
});

test('migrations of another version are shown, ignored or refused', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await database.run(sql`INSERT INTO schema_migrations VALUES ('20300101000000_later', now())`);
  const [first] = migrations;
  assert.ok(first);

  const last = (await migrationStatus(database)).at(-1);
  assert.equal(last?.isKnown, false);
  assert.equal(await applyMigration(database, first, { ignoreUnknown: true }), false);
  const unknown = /20300101000000_later: unknown migration in database/;
  await assert.rejects(applyMigration(database, first, { ignoreUnknown: false }), unknown);
  await assert.rejects(migrationsToRevert(database, 1), unknown);
});

test('a notification names the repositories whose generation has changed', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await database.run(sql`INSERT INTO repositories (virtual_storage, relative_path, generation)
    VALUES ('default', 'a.git', 0), ('default', 'b.git', 0)`);
  await database.run(sql`INSERT INTO storage_repositories
    SELECT virtual_storage, relative_path, 'gitaly-1', 0, repository_id FROM repositories`);
  const received: unknown[] = [];
  await using _listener = await listen(postgres, received);

  await database.run(sql`UPDATE storage_repositories SET verified_at = now()`);
  await database.run(sql`UPDATE storage_repositories SET generation = 1 WHERE relative_path = 'a.git'`);
  await database.run(sql`DELETE FROM repositories`);

  await until(() => received.length >= 3);
  assert.deepEqual(received, [
    ['storage_repositories_updates', [{ virtual_storage: 'default', relative_paths: ['a.git'] }]],
    ['repositories_updates', [{ virtual_storage: 'default', relative_paths: ['a.git', 'b.git'] }]],
    ['storage_repositories_updates', [{ virtual_storage: 'default', relative_paths: ['a.git', 'b.git'] }]],
  ]);
});

async function listen({ config }: TestDatabase, received: unknown[]): Promise<DatabaseListener> {
  const connected = Promise.withResolvers<void>();
  const listener = new DatabaseListener({
    settings: {
      host: config.host,
      user: config.user,
      database: config.dbname,
      ssl: false,
      mayFallBack: false,
    },
    handler: {
      channels: ['storage_repositories_updates', 'repositories_updates'],
      connected: connected.resolve,
      disconnected: () => {},
      notified: (channel, payload) => received.push([channel, JSON.parse(payload)]),
    },
    logger: createLogger({ format: 'json', level: 'info', stream: { write: () => {} } }),
    count: () => {},
  });
  await connected.promise;
  return listener;
}
