import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { ListMultipartUploadsCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { openStore } from '#object-store/open-store';
import { StoreError } from '#object-store/store-error';
import { startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { S3_SECRET, startS3Server } from '#testkit/servers/start-s3-server';
import { setVariable } from '#testkit/set-variable';

const MIB = 1024 * 1024;
const { signal } = new AbortController();
const server = await startS3Server();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined && 'Go is not installed';

async function* mebibytes(count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(MIB, index);
}

async function newBucket() {
  const url = new URL((await server?.createBucket()) ?? '');
  const connection = {
    endpoint: url.searchParams.get('endpoint') ?? '',
    region: 'us-east-1',
    forcePathStyle: true,
  };
  /** Returns the number of uploads that are neither complete nor aborted. */
  const openUploads = async (): Promise<number> => {
    const client = new S3Client(connection);
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: url.hostname }));
    client.destroy();
    return Uploads.length;
  };
  /** Permits an operation on all objects to everybody. */
  const allow = async (Action: string): Promise<void> => {
    const client = new S3Client(connection);
    const Resource = `arn:aws:s3:::${url.hostname}/*`;
    const Statement = [{ Effect: 'Allow', Principal: '*', Action, Resource }];
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
    await client.send(new PutBucketPolicyCommand({ Bucket: url.hostname, Policy }));
    client.destroy();
  };
  return { url, openUploads, allow };
}

test('a source that fails or is aborted leaves no part of a large object', { skip }, async () => {
  const { url, openUploads } = await newBucket();
  const store = await openStore(url.href);
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  let uploads = 0;
  const ending = async function* (end: () => void): AsyncGenerator<Buffer> {
    yield* mebibytes(12);
    uploads = await openUploads();
    end();
    yield* mebibytes(1);
  };

  const failed = store.put(
    'key',
    ending(() => assert.fail('the source failed')),
    { signal },
  );
  await assert.rejects(failed, /the source failed/);
  assert.equal(uploads, 1);
  const aborted = store.put(
    'key',
    ending(() => controller.abort(reason)),
    { signal: controller.signal },
  );
  await assert.rejects(aborted, reason);

  assert.equal(await openUploads(), 0);
  assert.equal(await store.head('key', { signal }), undefined);
});

test('a signed URL is readable without credentials, until it expires', { skip }, async () => {
  const { url } = await newBucket();
  const store = await openStore(url.href);
  await store.put('a b/c', mebibytes(1), { signal });

  const signed = (await store.signedUrl('a b/c', { signal, validMs: 60_000 })) ?? '';
  const response = await fetch(signed);
  const unsigned = await fetch(new URL(new URL(signed).pathname, signed));

  assert.equal((await response.arrayBuffer()).byteLength, MIB);
  assert.equal(unsigned.status, 403);
  await unsigned.arrayBuffer();
  assert.equal(new URL(signed).searchParams.get('X-Amz-Expires'), '60');
});

// A user saw: `anonymous=true` failed with CredentialsProviderError without credentials.
test('a signed PUT stores the content of its hash, for a while, and no other', { skip }, async () => {
  const { url } = await newBucket();
  const content = Buffer.from('content');
  const facts = {
    ...{ sizeBytes: content.length, sha256: createHash('sha256').update(content).digest(), signal },
  };
  const store = await openStore(`${url.href}&prefix=a/`);
  const signed = await store.signedPut?.('key', { ...facts, validMs: 60_000 });
  assert.ok(signed !== undefined);
  const put = async ({ headers, url: address }: typeof signed, body: string): Promise<number> => {
    const response = await fetch(address, { method: 'PUT', headers, body });
    await response.arrayBuffer();
    return response.status;
  };

  for (const [request, body] of [
    [signed, 'c0ntent'],
    [signed, 'contents'],
    [signed, 'conten'],
    [{ ...signed, headers: {} }, 'content'],
    [{ ...signed, url: signed.url.replace('key', 'other') }, 'content'],
  ] as const)
    assert.ok((await put(request, body)) >= 400, body);
  assert.equal(await store.head('key', { signal }), undefined);
  assert.equal(await put(signed, 'content'), 200);
  assert.equal((await store.head('key', { signal }))?.sizeBytes, content.length);
  assert.equal(new URL(signed.url).searchParams.get('X-Amz-Expires'), '60');
  const huge = { ...facts, sizeBytes: 5 * 1024 ** 3 + 1, validMs: 1000 };
  assert.equal(await store.signedPut?.('key', huge), undefined, 'one request stores 5 GiB at most');
});

test('a public bucket needs no credentials with anonymous=true, and has no signed URLs', {
  skip,
}, async (context) => {
  const { url, allow } = await newBucket();
  await allow('s3:GetObject');
  await (await openStore(url.href)).put('key', mebibytes(1), { signal });
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) setVariable(context, name, undefined);
  setVariable(context, 'AWS_EC2_METADATA_DISABLED', 'true');
  setVariable(context, 'AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
  setVariable(context, 'AWS_CONFIG_FILE', '/dev/null');

  const store = await openStore(`${url.href}&anonymous=true`);
  const read = await Array.fromAsync(store.get('key', { signal }));

  assert.equal(Buffer.concat(read).length, MIB);
  assert.equal(await store.signedUrl('key', { signal, validMs: 60_000 }), undefined);
  const put = { sizeBytes: 1, sha256: Buffer.alloc(32), signal, validMs: 60_000 };
  assert.equal(await store.signedPut?.('key', put), undefined);
  const error = await assertFailure(store.put('other', mebibytes(1), { signal }));
  assert.match(error.message, /put "other": AccessDenied: .*the credentials do not permit this/);
});

test('errors name bucket, object, operation, code and what to do, and no secret', {
  skip,
}, async (context) => {
  const { url } = await newBucket();
  const get = async (change: (url: URL) => void): Promise<Error> => {
    const changed = new URL(url);
    change(changed);
    const store = await openStore(changed.href);
    return await assertFailure(Array.fromAsync(store.get('some/key', { signal })));
  };

  const missing = await get((changed) => {
    changed.hostname = 'no-such-bucket';
  });
  const unreachable = await get(({ searchParams }) => searchParams.set('endpoint', 'http://127.0.0.1:1'));
  setVariable(context, 'AWS_SECRET_ACCESS_KEY', `wrong-${S3_SECRET}`);
  const forbidden = await get(() => {});
  setVariable(context, 'AWS_ACCESS_KEY_ID', 'unknown');
  const unknown = await get(() => {});
  const noRegion = await get(({ searchParams }) => searchParams.delete('region'));

  assert.match(
    missing.message,
    /^s3 bucket "no-such-bucket": get "some\/key": NoSuchBucket: .*\(create the bucket/,
  );
  assert.match(unreachable.message, /get "some\/key": ECONNREFUSED: .*\(check \?endpoint=/);
  assert.match(forbidden.message, /SignatureDoesNotMatch: .*\(check AWS_ACCESS_KEY_ID/);
  assert.match(unknown.message, /XAdminUserNotFound: .*\(check AWS_ACCESS_KEY_ID/);
  assert.match(noRegion.message, /: MissingRegion: Region is missing \(set \?region=/);
  for (const error of [missing, unreachable, forbidden, unknown, noRegion]) {
    const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
    assert.doesNotMatch(shown, new RegExp(`${S3_SECRET}|Signature=`));
  }
});

// A user saw: with a wrong clock, the error advised to check the policy of the bucket.
test('a refusal of a head, which has no code, has advice for all usual causes', { skip }, async () => {
  const { url } = await newBucket();
  let status = 403;
  await using proxy = await startHttpFaultProxy(server?.port ?? 0, () => ({ status, body: '' }));
  url.searchParams.set('endpoint', `http://127.0.0.1:${proxy.port}`);
  const store = await openStore(url.href);

  const forbidden = await assertFailure(store.head('key', { signal }));
  status = 400;
  const bad = await assertFailure(store.head('key', { signal }));

  assert.match(forbidden.message, /head "key": Forbidden \(.*the credentials.*the clock.*the policy/);
  assert.match(bad.message, /head "key": BadRequest \(.*the credentials may have expired.*region/);
});

async function assertFailure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error;
  }
  assert.fail('the call succeeded');
}
