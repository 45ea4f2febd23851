import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addRepository,
  addWrite,
  changedRepositories,
  createTestFeed,
  eventsIn,
} from '#testkit/feed/feed-database';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { type Database, sql } from '../database/database.ts';
import { createFeed, stopFeed } from './feed-tables.ts';

const skip = withoutPostgres;

const databaseOf = databaseOfFile();

const startFeed = (): Promise<Database> => createTestFeed(databaseOf());

test('each change of a repository is noted, by whomever it was made', { skip }, async () => {
  const database = await startFeed();
  await addRepository(database, 1);
  await addWrite(database, 1);
  await database.run(sql`UPDATE repositories SET "primary" = 'gitaly-2'`);
  await database.run(sql`UPDATE repositories SET relative_path = 'new.git'`);
  await database.run(sql`UPDATE repositories SET relative_path = 'newer.git', generation = 9`);
  await database.run(sql`DELETE FROM repositories`);

  const rows = await database.rows(sql<{ kind: string; path: string; previous: string | null }>`
    SELECT kind, relative_path AS path, previous_path AS previous FROM gitalyts_feed_changes ORDER BY id`);

  assert.deepEqual(
    rows.map(({ kind, path, previous }) => [kind, path, previous].join(' ').trim()),
    [
      'created 1.git',
      'written 1.git',
      'renamed new.git 1.git',
      'renamed newer.git new.git',
      'written newer.git',
      'removed newer.git',
    ],
  );
});

test('a feed that is opened by another praefect keeps what it has', { skip }, async () => {
  const database = await startFeed();
  await addRepository(database, 1);
  await database.run(sql`UPDATE gitalyts_feed_state SET last = 1`);

  await createFeed(database, ['default']);

  assert.deepEqual(await changedRepositories(database), [1]);
  assert.deepEqual(await eventsIn(database), []);
});

test('a feed that was stopped notes nothing, and forgets what it knew', { skip }, async () => {
  const database = await startFeed();
  await addRepository(database, 1);
  await database.run(sql`INSERT INTO gitalyts_feed_repositories
    (repository_id, virtual_storage, relative_path, is_listed) VALUES (1, 'default', '1.git', true)`);
  await stopFeed(database);
  await stopFeed(database);
  await addRepository(database, 2);
  assert.deepEqual(await changedRepositories(database), [1]);

  await createFeed(database, ['default']);

  assert.deepEqual(await changedRepositories(database), []);
  assert.equal(await database.row(sql`SELECT FROM gitalyts_feed_repositories`), undefined);
  assert.deepEqual(await eventsIn(database), [], 'there was never an event');
});

test('a feed that goes on after a stop says so in each virtual storage', { skip }, async () => {
  const database = await startFeed();
  await database.run(sql`UPDATE gitalyts_feed_state SET last = 7`);
  await stopFeed(database);

  await createFeed(database, ['default', 'other']);

  const state = await database.row(sql`SELECT last, compacted FROM gitalyts_feed_state`);
  assert.deepEqual(state, { last: 9, compacted: 0 });
  assert.deepEqual(await eventsIn(database, { after: 7 }), ['resync']);
  assert.deepEqual(await eventsIn(database, { after: 8, storage: 'other' }), ['resync']);
});
