import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setVariable } from '#testkit/set-variable';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import { directSettings, pooledSettings } from './connection-settings.ts';

const NODE = { storage: 'gitaly-1', address: 'tcp://a:1' };

/** Returns the keys of `[database]` of a configuration. */
function databaseOf(database: Record<string, string | bigint | Record<string, string | bigint>>) {
  const { config } = praefectConfigFrom({
    socket_path: '/s',
    virtual_storage: [{ name: 'default', node: [NODE] }],
    database,
  });
  return config.database;
}

test('a socket is used without TLS, whether the configuration or PGHOST names it', async (context) => {
  setVariable(context, 'PGSSLMODE', undefined);
  setVariable(context, 'PGHOST', '/run/postgresql');

  const bySocket = await pooledSettings(databaseOf({ host: '/tmp', dbname: 'p' }));
  const byVariable = await pooledSettings(databaseOf({ dbname: 'p' }));
  const byName = await pooledSettings(databaseOf({ host: 'db.example', dbname: 'p' }));

  assert.deepEqual([bySocket.ssl, byVariable.ssl], [false, false]);
  assert.deepEqual(byName.ssl, { rejectUnauthorized: false });
});

test('the mode of TLS is that of the configuration, then PGSSLMODE, then prefer', async (context) => {
  setVariable(context, 'PGSSLMODE', 'verify-full');
  const at = (more: Record<string, string>) =>
    pooledSettings(databaseOf({ host: 'db.example', dbname: 'p', ...more }));

  assert.deepEqual(await at({}), {
    host: 'db.example',
    database: 'p',
    ssl: { rejectUnauthorized: true },
    mayFallBack: false,
  });
  assert.equal((await at({ sslmode: 'disable' })).ssl, false);
  assert.deepEqual(await at({ sslmode: 'prefer' }), {
    host: 'db.example',
    database: 'p',
    ssl: { rejectUnauthorized: false },
    mayFallBack: true,
  });
});

test('LISTEN connects to session_pooled, key by key, and to the rest of [database]', async () => {
  const config = databaseOf({
    host: 'pooler',
    port: 6432n,
    user: 'praefect',
    dbname: 'p',
    sslmode: 'disable',
    session_pooled: { host: 'direct', port: 5432n },
  });

  const common = { user: 'praefect', database: 'p', ssl: false, mayFallBack: false };
  assert.deepEqual(await pooledSettings(config), { host: 'pooler', port: 6432, ...common });
  assert.deepEqual(await directSettings(config), { host: 'direct', port: 5432, ...common });
});
