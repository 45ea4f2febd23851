import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { configFrom } from '#platform/config/load-config';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { setVariable } from '#testkit/set-variable';
import { checkBuckets } from './check-buckets.ts';

const directory = makeScratchDirectory('check-buckets');
after(() => rmSync(directory, { recursive: true }));
const BASE = { listen_addr: ':0', storage: [{ name: 'a', path: '/tmp' }] };

async function findingsOf(keys: Readonly<Record<string, unknown>>) {
  return await Array.fromAsync(checkBuckets(configFrom({ ...BASE, ...keys })));
}

test('a bucket that works is ok, and nothing is left in it', async () => {
  const path = join(directory, 'works');
  mkdirSync(path);

  const findings = await findingsOf({ backup: { go_cloud_url: `file://${path}` } });

  assert.deepEqual(
    findings.map(({ subject, level }) => [subject, level]),
    [['bucket of [backup]', 'ok']],
  );
  assert.deepEqual(readdirSync(path), []);
});

test('without buckets nothing is checked, and the doctor creates no directory', async () => {
  const path = join(directory, 'none');

  assert.deepEqual(await findingsOf({}), []);
  const [finding] = await findingsOf({ backup: { go_cloud_url: `file://${path}` } });

  assert.equal(finding?.level, 'ok');
  const [lfs] = await findingsOf({ lfs: { url: `file://${path}` } });
  assert.deepEqual([lfs?.subject, lfs?.level], ['bucket of [lfs]', 'ok']);
  assert.equal(readdirSync(directory).includes('none'), false);
});

test('a bucket that cannot be used is an error with what to do', async (context) => {
  writeFileSync(join(directory, 'file'), '');
  setVariable(context, 'AWS_ACCESS_KEY_ID', 'a');
  setVariable(context, 'AWS_SECRET_ACCESS_KEY', 'b');
  const refused = { region: 'a', endpoint: 'http://127.0.0.1:1' };
  for (const [url, message, fix] of [
    [`file://${directory}/file`, /is not a directory/, /docs\/backup\.md/],
    [`file://${directory}/missing?create_dir=false`, /does not exist/, /docs\/backup\.md/],
    [
      `s3://bucket?${new URLSearchParams(refused)}`,
      /s3 bucket "bucket": put .*ECONNREFUSED/,
      /^Check \?endpoint=/,
    ],
    ['blob+s3://bucket', /"blob\+s3" are not built/, /correct the URL/],
  ] as const) {
    const [finding] = await findingsOf({ backup: { go_cloud_url: url } });

    assert.equal(finding?.level, 'error', url);
    assert.match(finding.message, message);
    assert.match(finding.fix ?? '', fix);
  }
});

test('a bucket of bundles whose objects have no addresses is a warning', async () => {
  const path = join(directory, 'bundles');
  mkdirSync(path);
  writeFileSync(join(directory, 'key'), 'secret');
  const signed = `file://${path}?base_url=https://example.com&secret_key_path=${join(directory, 'key')}`;

  const unsigned = await findingsOf({ bundle_uri: { go_cloud_url: `file://${path}` } });

  assert.deepEqual(
    unsigned.map(({ level }) => level),
    ['ok', 'warning'],
  );
  assert.match(unsigned[1]?.fix ?? '', /base_url and secret_key_path/);
  assert.deepEqual(
    (await findingsOf({ bundle_uri: { go_cloud_url: signed } })).map(({ level }) => level),
    ['ok'],
  );
});
