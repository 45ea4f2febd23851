import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
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

test('each key of the connection for LISTEN is that of session_pooled, if it is set', async () => {
  const pool = { host: 'p', port: 1n, user: 'pu', password: 'pp', dbname: 'pd', sslmode: 'disable' };
  const direct = { host: 'd', port: 2n, user: 'du', password: 'dp', dbname: 'dd', sslmode: 'prefer' };
  const settings = async (...keys: (keyof typeof direct)[]) => {
    const own = Object.fromEntries(keys.map((key) => [key, direct[key]]));
    return await directSettings(databaseOf({ ...pool, session_pooled: own }));
  };
  const ofPool = {
    ...{ host: 'p', port: 1, user: 'pu', password: 'pp', database: 'pd' },
    ...{ ssl: false, mayFallBack: false },
  };

  assert.deepEqual(await settings(), ofPool);
  assert.deepEqual(await settings('host'), { ...ofPool, host: 'd' });
  assert.deepEqual(await settings('port'), { ...ofPool, port: 2 });
  assert.deepEqual(await settings('user'), { ...ofPool, user: 'du' });
  assert.deepEqual(await settings('password'), { ...ofPool, password: 'dp' });
  assert.deepEqual(await settings('dbname'), { ...ofPool, database: 'dd' });
  const tls = { ssl: { rejectUnauthorized: false }, mayFallBack: true };
  assert.deepEqual(await settings('sslmode'), { ...ofPool, ...tls });
});

test('the earlier names of session_pooled count after it', async () => {
  const pool = { host: 'p', port: 1n, dbname: 'd', sslmode: 'disable' };
  const earlier = { host_no_proxy: 'n', port_no_proxy: 3n };
  const place = async (more: Parameters<typeof databaseOf>[0]) => {
    const { host, port } = await directSettings(databaseOf({ ...pool, ...more }));
    return [host, port];
  };

  assert.deepEqual(await place(earlier), ['n', 3]);
  assert.deepEqual(await place({ ...earlier, session_pooled: { host: 's', port: 4n } }), ['s', 4]);
});

test('keys and certificates are read, and names are checked by verify-full alone', async () => {
  const files = { sslcert: TEST_CERTIFICATE, sslkey: TEST_KEY, sslrootcert: TEST_CERTIFICATE };
  const tlsOf = async (sslmode: string, session_pooled = {}) => {
    const config = databaseOf({ host: 'db', dbname: 'd', sslmode, ...files, session_pooled });
    const { ssl } = await directSettings(config);
    assert.ok(ssl !== false);
    return ssl;
  };
  const [certificate, key] = [readFileSync(TEST_CERTIFICATE), readFileSync(TEST_KEY)];

  const full = await tlsOf('verify-full');
  assert.deepEqual(full, { cert: certificate, key, ca: certificate, rejectUnauthorized: true });
  for (const mode of ['require', 'verify-ca']) {
    const { checkServerIdentity, ...rest } = await tlsOf(mode);
    assert.deepEqual(rest, full, mode);
    assert.equal(checkServerIdentity?.('other', {} as PeerCertificate), undefined, mode);
  }
  const own = { sslcert: TEST_KEY, sslkey: TEST_CERTIFICATE, sslrootcert: TEST_KEY };
  assert.deepEqual(await tlsOf('verify-full', own), {
    cert: key,
    key: certificate,
    ca: key,
    rejectUnauthorized: true,
  });
});
