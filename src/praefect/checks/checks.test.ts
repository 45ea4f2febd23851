import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import { Database, sql } from '../database/database.ts';
import { checks, failedChecks, limited } from './checks.ts';

const skip = withoutPostgres;
let postgres: TestDatabase;

before(async () => {
  if (skip === false) postgres = await startPostgres();
});

after(() => postgres?.[Symbol.asyncDispose]());

// No Gitaly is there.
const { config } = praefectConfigFrom({
  socket_path: '/s',
  virtual_storage: [{ name: 'default', node: [{ storage: 'a', address: 'unix:/nowhere/a' }] }],
});

async function open(dbname: string = postgres.config.dbname): Promise<Database> {
  const { host, user } = postgres.config;
  return await Database.open({
    ...(host !== '' && { host }),
    ...(user !== '' && { user }),
    database: dbname,
    ssl: false,
    mayFallBack: false,
  });
}

function start(openDatabase: () => Promise<Database> = () => open()) {
  const lines: string[] = [];
  const options = { config, openDatabase, print: (line: string) => lines.push(line), timeoutMs: 10_000 };
  const run = async (name: string): Promise<void> => {
    const check = checks.find((each) => each.name === name);
    assert.ok(check);
    await check.run(options);
  };
  return { lines, options, run };
}

test('migrations that have not been run are counted', { skip }, async () => {
  const { run } = start();
  await run('praefect migrations');

  const { database } = postgres;
  const [last] = await database.rows(sql<{ id: string }>`
    DELETE FROM schema_migrations WHERE id = (SELECT max(id) FROM schema_migrations) RETURNING id`);
  try {
    await assert.rejects(run('praefect migrations'), {
      message: '1 migrations have not been run: run praefect sql-migrate',
    });
  } finally {
    await database.run(sql`INSERT INTO schema_migrations (id, applied_at) VALUES (${last?.id}, now())`);
  }
});

// Born failing: only the server refused such a database.
test('a database that stores no UTF-8 fails its check', { skip }, async () => {
  await postgres.database.run(
    sql`CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  try {
    const { run } = start(() => open('bytes'));
    await assert.rejects(run('database read/write'), {
      message: /^the encoding of the database is SQL_ASCII/,
    });
  } finally {
    await postgres.database.run(sql`DROP DATABASE bytes`);
  }
});

test('the database is read and written, and stays as it was', { skip }, async () => {
  const { lines, run } = start();
  const before = await postgres.database.rows(sql`SELECT * FROM hello_world`);

  await run('database read/write');

  assert.deepEqual(lines, ['successfully read from database', 'successfully wrote to database']);
  assert.deepEqual(await postgres.database.rows(sql`SELECT * FROM hello_world`), before);
});

test('a table that is missing fails the check of the database', { skip }, async () => {
  const { run } = start();
  await postgres.database.run(sql`ALTER TABLE hello_world RENAME TO hello_world_moved`);
  try {
    await assert.rejects(run('database read/write'), { message: /^error reading from table: .*hello_world/ });
  } finally {
    await postgres.database.run(sql`ALTER TABLE hello_world_moved RENAME TO hello_world`);
  }
});

test('repositories without a valid primary are counted', { skip }, async () => {
  const { lines, run } = start();
  await run('unavailable repositories');
  assert.deepEqual(lines.splice(0), ['All repositories are available.']);

  for (const [id, noun] of [
    [1, '1 repository that is'],
    [2, '2 repositories that are'],
  ] as const) {
    await postgres.database.run(sql`INSERT INTO repositories
      (repository_id, virtual_storage, relative_path, replica_path, generation)
      VALUES (${id}, 'default', ${`${id}.git`}, ${`@cluster/${id}`}, 0)`);
    await assert.rejects(run('unavailable repositories'), { message: 'repositories unavailable' });
    assert.deepEqual(lines.splice(0), [`virtual-storage "default" has ${noun} unavailable.`]);
  }
  await postgres.database.run(sql`TRUNCATE repositories CASCADE`);
});

test('a database that cannot be reached fails the checks that need it, by name', { skip }, async () => {
  const { options } = start(() => Promise.reject(new Error('refused')));

  const failures = await failedChecks(options);

  assert.deepEqual(
    [...failures.keys()],
    [
      'database read/write',
      'gitaly node connectivity & disk access',
      'praefect migrations',
      'unavailable repositories',
    ],
  );
  for (const name of ['database read/write', 'unavailable repositories'])
    assert.equal(failures.get(name), 'error opening database connection: refused', name);
});

test('a check that takes too long fails', async () => {
  const never = new Promise<void>(() => {});
  await assert.rejects(limited(never, 10), { message: 'context deadline exceeded' });
  await limited(Promise.resolve(), 10);
});
