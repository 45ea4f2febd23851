import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFrom } from '#platform/config/load-config';
import { loggerFor } from '#platform/log/logger';
import { startGitaly } from '#testkit/start-gitaly';
import { openBuckets } from './buckets.ts';

const BASE = { listen_addr: ':0', storage: [{ name: 'a', path: '/tmp' }] };
const ON = { enabled: true };
const UNOBSERVED = { ended: () => {}, bytes: () => {}, retried: () => {} };
const SILENT = loggerFor({ error: () => {}, warn: () => {}, info: () => {} });

test('offloading without a bucket prevents the start', async () => {
  const starting = startGitaly({ config: { transactions: ON, offloading: ON } });

  await assert.rejects(starting, { message: 'empty offloading storage URL' });
});

// Gitaly 19.0 starts with each of these.
for (const [name, keys] of Object.entries({
  'transactions are off': { offloading: ON },
  'offloading is off': { transactions: ON, offloading: { enabled: false } },
  'there is a bucket': { transactions: ON, offloading: { ...ON, go_cloud_url: 's3://objects' } },
})) {
  test(`the keys of offloading do not prevent the start if ${name}`, async () => {
    const buckets = await openBuckets(configFrom({ ...BASE, ...keys }), SILENT, UNOBSERVED);

    assert.deepEqual(buckets, { backup: undefined, bundleUri: undefined });
  });
}
