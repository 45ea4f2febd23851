import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { replaceMethod } from '#testkit/replace-method';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import { directSettings, pooledSettings } from './connection-settings.ts';
import { Database, sql, violatedConstraint } from './database.ts';

const skip = withoutPostgres;

const databaseConfig = (database: Record<string, unknown>) =>
  praefectConfigFrom({
    socket_path: '/run/praefect.socket',
    virtual_storage: [{ name: 'default', node: [{ storage: 'a', address: 'unix:/run/a' }] }],
    database,
  }).config.database;

test('the connection for notifications has its own keys, and those of the pool for the rest', async () => {
  const config = databaseConfig({
    host: 'pooler',
    port: 6432n,
    user: 'praefect',
    password: 'secret',
    dbname: 'praefect_production',
    sslmode: 'disable',
    session_pooled: { host: 'direct' },
    port_no_proxy: 5433n,
  });
  const common = { user: 'praefect', password: 'secret', database: 'praefect_production', ssl: false };
  assert.deepEqual(await pooledSettings(config), {
    host: 'pooler',
    port: 6432,
    ...common,
    mayFallBack: false,
  });
  assert.deepEqual(await directSettings(config), {
    host: 'direct',
    port: 5433,
    ...common,
    mayFallBack: false,
  });
});

test('sslmode decides which certificates are accepted', async (context) => {
  const directory = makeScratchDirectory('pem');
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'root.pem');
  writeFileSync(file, 'root');
  const ssl = async (sslmode: string, sslrootcert = '') =>
    (await pooledSettings(databaseConfig({ host: 'db', sslmode, sslrootcert }))).ssl;
  assert.equal(await ssl('disable'), false);
  assert.equal(await ssl('allow'), false);
  const rejects = async (sslmode: string, root = ''): Promise<boolean | undefined> => {
    const options = await ssl(sslmode, root);
    return options === false ? undefined : options.rejectUnauthorized;
  };
  assert.equal(await rejects('prefer'), false);
  assert.equal(await rejects('require'), false);
  assert.equal(await rejects('require', file), true);
  assert.equal(await rejects('verify-ca', file), true);
  assert.equal(await rejects('verify-full', file), true);
  await assert.rejects(ssl('maybe'), /sslmode is invalid: "maybe"/);
});

test('idle connections that the server has closed are replaced', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { database } = postgres;
  await database.checkVersion();
  const others = sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;
  await Promise.all([1, 2, 3].map(() => database.run(sql`SELECT pg_sleep(0.05)`)));

  await database.run(others);
  // A statement that meets the closing connection may fail.
  await until(() => works(database));
  const rows = await Promise.all([1, 2, 3].map(() => database.row(sql`SELECT 1 AS one`)));

  assert.deepEqual(rows, [{ one: 1 }, { one: 1 }, { one: 1 }]);
});

test('a database that stores bytes instead of text is refused', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { config, database } = postgres;
  await database.run(
    sql`CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
  );
  try {
    const { host, user } = config;
    const settings = { host, user, database: 'bytes', ssl: false, mayFallBack: false } as const;
    await using bytes = await Database.open(settings);
    await assert.rejects(bytes.checkVersion(), /SQL_ASCII, but Praefect needs UTF8\. Create it with: CREATE/);
  } finally {
    await database.run(sql`DROP DATABASE bytes`);
  }
});

test('a statement that fails is not executed again', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const { database } = postgres;
  await database.run(sql`CREATE SEQUENCE attempts`);

  await assert.rejects(database.run(sql`SELECT 1 / (nextval('attempts') - 1)`), /division by zero/);

  // No rollback takes back a value of a sequence.
  assert.deepEqual(await database.row(sql`SELECT nextval('attempts')::int`), { nextval: 2 });
});

test('a server that is too old, or does not tell its version, is refused', { skip }, async (context) => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  await database.checkVersion();
  for (const [version, message] of [
    [async () => [{ version: '100023', encoding: 'UTF8' }], 'postgres server version too old: 100023'],
    [() => Promise.reject(new Error('gone')), 'get postgres server version: gone'],
  ] as const) {
    replaceMethod(context, database, 'rows', version as typeof database.rows);
    await assert.rejects(database.checkVersion(), { message });
  }
  replaceMethod(context, database, 'rows', async () => [{ version: '110000', encoding: 'UTF8' }] as never);
  await database.checkVersion();
});

test('a transaction is rolled back, and a violated constraint has a name', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const insert = sql`INSERT INTO virtual_storages VALUES ('default')`;
  let failure: unknown;

  await assert.rejects(
    database.transaction(async (executor) => {
      await insert.execute(executor);
      await insert.execute(executor);
    }),
    (error) => {
      failure = error;
      return true;
    },
  );

  assert.equal(violatedConstraint(failure), 'virtual_storages_pkey');
  assert.deepEqual(await database.rows(sql`SELECT * FROM virtual_storages`), []);
});

async function works(database: Database): Promise<boolean> {
  const results = await Promise.allSettled([1, 2, 3].map(() => database.run(sql`SELECT 1`)));
  return results.every(({ status }) => status === 'fulfilled');
}

test('a prepared statement is parsed once for each connection', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const doubled = (value: number) =>
    database.preparedRow('doubled', sql<{ value: number }>`SELECT ${value}::int * 2 AS value`);

  for (const value of [1, 2, 3]) assert.deepEqual(await doubled(value), { value: value * 2 });

  const prepared = await database.rows(sql<{ name: string }>`SELECT name FROM pg_prepared_statements`);
  assert.equal(prepared.length, 1);
  assert.match(prepared[0]?.name ?? '', /^doubled_[\da-f]{8}$/);
});

for (const { how, mix } of [
  { how: 'that are gone', mix: () => 'DEALLOCATE ALL' },
  { how: 'of another client', mix: (name: string) => `PREPARE ${name} AS SELECT 1` },
])
  test(`without prepared statements goes on after a pooler had some ${how}`, { skip }, async () => {
    await using postgres = await startPostgres();
    const { database } = postgres;
    const one = () => database.preparedRow('one', sql<{ one: number }>`SELECT 1 AS one`);
    // As a pooler may do between two statements. The single connection is used for both.
    const name = `one_${createHash('sha1').update('SELECT 1 AS one').digest('hex').slice(0, 8)}`;
    if (how === 'that are gone') await one();
    await database.rows(sql.raw(mix(name)));

    for (let count = 0; count < 2; count++) assert.deepEqual(await one(), { one: 1 });

    const prepared = await database.rows(sql<{ name: string }>`SELECT name FROM pg_prepared_statements`);
    assert.equal(prepared.length, how === 'that are gone' ? 0 : 1);
  });

test('a prepared statement that fails reports its error', { skip }, async () => {
  await using postgres = await startPostgres();
  const failing = () => postgres.database.preparedRow('failing', sql`SELECT 1 / ${0}::int AS x`);
  await assert.rejects(failing(), { message: 'division by zero' });
  await assert.rejects(failing(), { message: 'division by zero' });
});
