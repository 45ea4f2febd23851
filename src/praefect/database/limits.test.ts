import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  withoutOwnPostgres as skip,
  startPostgres,
  type TestDatabase,
} from '#testkit/servers/start-postgres';
import type { ConnectionSettings } from './connection-settings.ts';
import { Database, type DatabaseLimits, sql, violatedConstraint } from './database.ts';

let postgres: TestDatabase | undefined;
before(async () => {
  if (!skip) postgres = await startPostgres({ isMigrated: false });
});
after(() => postgres?.[Symbol.asyncDispose]());

function open(limits: DatabaseLimits, settings: Partial<ConnectionSettings> = {}): Promise<Database> {
  const { dbname: database, host, user } = postgres?.config ?? assert.fail();
  return Database.open({ host, user, database, ssl: false, mayFallBack: false, ...settings }, limits);
}

/** A statement that takes some seconds in the server. */
const lasting = (seconds: number) => sql<{ done: boolean }>`SELECT true AS done FROM pg_sleep(${seconds})`;
const LATE = { message: 'the database did not respond in 200 ms' };

test('a statement that takes too long fails, and later ones have another connection', { skip }, async () => {
  await using database = await open({ statementMs: 200 });

  await assert.rejects(database.run(lasting(60)), LATE);

  assert.deepEqual(await database.row(lasting(0)), { done: true });
});

test('a transaction with a statement that takes too long fails with that reason', { skip }, async () => {
  await using database = await open({ statementMs: 200 });

  await assert.rejects(
    database.transaction(async (executor) => await lasting(60).execute(executor)),
    LATE,
  );
});

test('searches may take longer than other statements', { skip }, async () => {
  await using database = await open({ statementMs: 200 });

  assert.deepEqual(await database.search(lasting(0.4)), [{ done: true }]);
  const found = await database.searchTransaction(async (executor) => await lasting(0.4).execute(executor));
  assert.deepEqual(found.rows, [{ done: true }]);
});

test('without a limit a statement takes its time', { skip }, async () => {
  await using database = await open({});

  assert.deepEqual(await database.rows(lasting(0.4)), [{ done: true }]);
});

test('a search with its own limit is ended by the server', { skip }, async () => {
  await using database = await open({});

  assert.deepEqual(await database.limitedRows(lasting(0), 10_000), [{ done: true }]);
  await assert.rejects(database.limitedRows(lasting(60), 50.5), {
    message: 'canceling statement due to statement timeout',
  });
  assert.deepEqual(await database.search(lasting(0.1)), [{ done: true }], 'the limit has ended');
});

test('the number of affected rows is returned', { skip }, async () => {
  await using database = await open({});
  assert.equal(await database.run(sql`CREATE TABLE numbers (number integer UNIQUE)`), 0);

  assert.equal(await database.run(sql`INSERT INTO numbers SELECT generate_series(1, 3)`), 3);

  assert.equal(await database.run(sql`DELETE FROM numbers WHERE number > 1`), 2);
  assert.equal(await database.row(sql`SELECT FROM numbers WHERE number > 1`), undefined);
  const failure = await database.run(sql`INSERT INTO numbers VALUES (1)`).catch((error: unknown) => error);
  assert.equal(violatedConstraint(failure), 'numbers_number_key');
  const other = await database.run(sql`INSERT INTO nowhere VALUES (1)`).catch((error: unknown) => error);
  assert.equal(violatedConstraint(other), undefined);
  assert.equal(violatedConstraint(new Error('other')), undefined);
});

test('a server without TLS is used without it if that is allowed', { skip }, async () => {
  const ssl = { rejectUnauthorized: false };

  await using database = await open({}, { ssl, mayFallBack: true });
  assert.deepEqual(await database.row(lasting(0)), { done: true });
  await assert.rejects(open({}, { ssl, mayFallBack: false }), {
    message: 'send ping: The server does not support SSL connections',
  });
});

test('a server that cannot be reached is named with the reason', { skip }, async () => {
  await using database = await open({});
  await database.checkVersion();
  await postgres?.stop();
  try {
    await assert.rejects(open({}), { message: /^send ping: connect ENOENT / });
    await assert.rejects(database.checkVersion(), { message: /^get postgres server version: / });
  } finally {
    await postgres?.restart();
  }
});
