import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayArgumentError } from '../gateway-options.ts';
import { databaseKeys } from './database-url.ts';

test('a URL names the keys of a database as for libpq', () => {
  assert.deepEqual(databaseKeys('postgresql:'), {});
  assert.deepEqual(databaseKeys('postgresql://'), {});
  assert.deepEqual(databaseKeys('postgresql:///praefect'), { dbname: 'praefect' });
  assert.deepEqual(databaseKeys('postgres://ann:p%40ss@[::1]:5433/praefect?sslmode=require'), {
    host: '::1',
    port: 5433,
    user: 'ann',
    password: 'p@ss',
    dbname: 'praefect',
    sslmode: 'require',
  });
  assert.deepEqual(databaseKeys('postgresql://ann@/praefect?host=/var/run/postgresql&port=6432'), {
    host: '/var/run/postgresql',
    port: 6432,
    user: 'ann',
    dbname: 'praefect',
  });
  assert.deepEqual(databaseKeys('postgresql://%2Fvar%2Frun/x'), { host: '/var/run', dbname: 'x' });
});

test('other URLs are refused without repeating them', () => {
  for (const url of ['http://a:secret@b', 'secret', 'postgresql://a:secret@b@c/d', 'postgresql://a:%E0@b/c'])
    assert.throws(
      () => databaseKeys(url),
      (error: Error) => error instanceof GatewayArgumentError && !error.message.includes('secret'),
    );
  assert.throws(() => databaseKeys('postgresql:///x?options=-c'), /parameter options is not supported/);
});
