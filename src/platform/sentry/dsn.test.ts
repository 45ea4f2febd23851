import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDsn } from './dsn.ts';

for (const { dsn, url, key } of [
  { dsn: 'https://abc@sentry.io/42', url: 'https://sentry.io/api/42/envelope/', key: 'sentry_key=abc' },
  {
    dsn: 'http://abc:def@host:9000/some/path/7',
    url: 'http://host:9000/some/path/api/7/envelope/',
    key: 'sentry_key=abc, sentry_secret=def',
  },
]) {
  test(`reads ${dsn}`, () => {
    assert.deepEqual(parseDsn(dsn, 'me/1'), {
      url,
      authorization: `Sentry sentry_version=7, sentry_client=me/1, ${key}`,
    });
  });
}

for (const dsn of [
  '',
  'secret-key',
  'ftp://secret@h/1',
  'https://h/1',
  'https://secret@h',
  'https://secret@h/',
]) {
  test(`refuses ${JSON.stringify(dsn)} without repeating it`, () => {
    assert.throws(() => parseDsn(dsn, 'me/1'), { message: /^the DSN (is|has) (?!.*secret)/ });
  });
}
