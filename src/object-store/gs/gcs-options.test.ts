import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../open-store.ts';
import { parseGcsOptions } from './gcs-options.ts';

const GOOGLE = 'https://storage.googleapis.com';
const EMULATOR = { STORAGE_EMULATOR_HOST: 'localhost:9000' };

// Options and their effects: Go Cloud 0.45, blob/gcsblob. `endpoint` is ours.
for (const [query, expected] of Object.entries({
  '': { endpoint: GOOGLE, isAnonymous: false },
  'anonymous=t': { endpoint: GOOGLE, isAnonymous: true },
  'access_id=-': { isAnonymous: true, accessId: undefined },
  'access_id=a@b&private_key_path=/key.pem': { accessId: 'a@b', privateKeyPath: '/key.pem' },
  'private_key_path=': { privateKeyPath: undefined },
  'universe_domain=cloud.example': {
    endpoint: 'https://storage.cloud.example',
    universeDomain: 'cloud.example',
  },
  'endpoint=http://127.0.0.1:9000/x': { endpoint: 'http://127.0.0.1:9000' },
  'endpoint=storage.internal': { endpoint: 'https://storage.internal' },
})) {
  test(`gs://bucket?${query} sets ${Object.keys(expected).join(', ')}`, () => {
    const options = parseGcsOptions(new URL(`gs://bucket?${query}`), {});

    assert.partialDeepStrictEqual(options, { bucket: 'bucket', ...expected });
  });
}

test('STORAGE_EMULATOR_HOST selects an emulator, without credentials', () => {
  for (const host of ['localhost:9000', 'http://localhost:9000']) {
    const options = parseGcsOptions(new URL('gs://bucket'), { STORAGE_EMULATOR_HOST: host });

    assert.partialDeepStrictEqual(options, { endpoint: 'http://localhost:9000', isAnonymous: true });
  }
  assert.equal(parseGcsOptions(new URL('gs://b?endpoint=a'), EMULATOR).endpoint, 'http://localhost:9000');
});

test('wrong options are refused, and secrets in the URL are not repeated', async () => {
  const refusals = {
    'gs://': /no bucket/,
    'gs://bucket?acces_id=x': /unknown option "acces_id"/,
    'gs://bucket?anonymous=yes': /anonymous is true or false; not "yes"/,
    'gs://bucket?private_key_path=/key': /needs the service account of the key: add &access_id=/,
    'gs://bucket?private_key_path=/key&access_id=-': /needs the service account of the key/,
    'gs://bucket?endpoint=http://[': /endpoint is an address/,
    'gs://key:hush@bucket': /^(?!.*hush).*GOOGLE_APPLICATION_CREDENTIALS/,
  };
  for (const [url, message] of Object.entries(refusals)) await assert.rejects(openStore(url), { message });
});
