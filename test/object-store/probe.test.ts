import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { openBucket } from '#generations/open-bucket';
import { probeBucket } from '#generations/probe';
import { systemRandom } from '#generations/system-environment';
import { openStore } from '#object-store/open-store';
import { type HttpFault, startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { startAzureServer } from '#testkit/servers/start-azure-server';
import { startGcsServer } from '#testkit/servers/start-gcs-server';
import { startS3Server } from '#testkit/servers/start-s3-server';

const { signal } = new AbortController();
const [s3, gcs, azure] = [await startS3Server(), await startGcsServer(), await startAzureServer()];
for (const server of [s3, gcs, azure]) after(() => server?.[Symbol.asyncDispose]());
const NO_GO = 'Go is not installed';

for (const { name, skip, url } of [
  { name: 's3', skip: s3 === undefined && NO_GO, url: () => s3?.createBucket() },
  { name: 'gs', skip: gcs === undefined && NO_GO, url: () => gcs?.createBucket() },
  {
    name: 'azblob',
    skip: azure === undefined && "npm's registry cannot be reached",
    url: () => azure?.createContainer(),
  },
])
  test(`a bucket of ${name} passes the probe`, { skip }, async () => {
    const store = await openStore((await url()) ?? '');

    assert.equal(await probeBucket(store, { nonce: randomUUID(), signal }), undefined);

    assert.deepEqual((await Array.fromAsync(store.list('', { signal }))).flat(), []);
  });

test('a bucket of S3 that reports 403 for a missing object is refused, also at the start', {
  skip: s3 === undefined && NO_GO,
}, async () => {
  const url = new URL((await s3?.createBucket()) ?? '');
  const body = '<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>';
  const faultOf = (line: string): HttpFault | undefined =>
    line.startsWith('GET /') ? { status: 403, body } : undefined;
  await using proxy = await startHttpFaultProxy(s3?.port ?? 0, faultOf);
  url.searchParams.set('endpoint', `http://127.0.0.1:${proxy.port}`);

  const missing = await probeBucket(await openStore(url.href), { nonce: 'n', signal });

  assert.match(missing?.fix ?? '', /s3:ListBucket/);
  await assert.rejects(
    openBucket(url.href, { random: systemRandom, signal }),
    /cannot hold repositories: it must be true that a missing object .*s3:ListBucket/,
  );
});
