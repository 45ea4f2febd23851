import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { openStore } from '#object-store/open-store';
import { StoreError } from '#object-store/store-error';
import { type HttpFault, startHttpFaultProxy } from '#testkit/http-fault-proxy';
import { setVariable } from '#testkit/set-variable';
import { S3_SECRET, startS3Server } from '#testkit/start-s3-server';

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
  return { url, openUploads };
}

async function through(faultOf: (line: string) => HttpFault | undefined) {
  const { url, openUploads } = await newBucket();
  const direct = await openStore(url.href);
  const proxy = await startHttpFaultProxy(server?.port ?? 0, faultOf);
  url.searchParams.set('endpoint', `http://127.0.0.1:${proxy.port}`);
  return { proxy, direct, openUploads, store: await openStore(url.href) };
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

test('a read is resumed where the connection broke', { skip }, async () => {
  const cuts = [3 * MIB, 2 * MIB, 0, 0, MIB];
  const cut = (line: string): HttpFault | undefined => {
    const bytes = line.startsWith('GET /bucket') ? cuts.shift() : undefined;
    return bytes === undefined ? undefined : { cutAfterBytes: bytes };
  };
  const { proxy, direct, store } = await through(cut);
  await using _proxy = proxy;
  await direct.put('key', mebibytes(9), { signal });

  const content = Buffer.concat(await Array.fromAsync(store.get('key', { signal })));

  assert.ok(content.equals(Buffer.concat(await Array.fromAsync(mebibytes(9)))));
  const ranges = proxy.requests.map((line) => /bytes=\d+-$/.exec(line)?.[0]);
  assert.deepEqual([ranges[0], ranges.length], [undefined, 6]);
  assert.equal(ranges.at(-1), `bytes=${6 * MIB}-`);
});

test('a read fails if the object is replaced in the meantime, or the connection breaks again and again', {
  skip,
}, async () => {
  let fault: HttpFault | undefined = { cutAfterBytes: MIB };
  const { proxy, direct, store } = await through((line) => (line.startsWith('GET ') ? fault : undefined));
  await using _proxy = proxy;
  await direct.put('key', mebibytes(3), { signal });
  const pieces = store.get('key', { signal });
  await pieces.next();
  await direct.put('key', mebibytes(2), { signal });

  fault = undefined;
  await assert.rejects(Array.fromAsync(pieces), /get "key": PreconditionFailed: /);
  fault = { cutAfterBytes: 0 };
  await assert.rejects(Array.fromAsync(store.get('key', { signal })), /get "key": ECONNRESET: /);
});

test('a call whose response is cut is made again', { skip }, async () => {
  const cut = new Set<string>();
  const { proxy, store } = await through((line) => {
    if (cut.has(line)) return undefined;
    cut.add(line);
    return { cutAfterBytes: 10 };
  });
  await using _proxy = proxy;

  await store.put('key', mebibytes(11), { signal });
  const listed = (await Array.fromAsync(store.list('', { signal }))).flat();
  await store.delete(['key'], { signal });

  assert.deepEqual(
    listed.map(({ key, sizeBytes }) => [key, sizeBytes]),
    [['key', 11 * MIB]],
  );
  assert.equal(await store.head('key', { signal }), undefined);
});

test('requests that the service refuses for a while are sent again', { skip }, async () => {
  const busy: HttpFault = {
    status: 503,
    body: '<Error><Code>SlowDown</Code><Message>slow down</Message></Error>',
  };
  const refusals = new Map<string, number>();
  const { proxy, store } = await through((line) => {
    const count = refusals.get(line) ?? 0;
    refusals.set(line, count + 1);
    return count < 1 ? busy : undefined;
  });
  await using _proxy = proxy;

  await store.put('small', mebibytes(1), { signal });
  await store.put('large', mebibytes(11), { signal });
  const large = await Array.fromAsync(store.get('large', { signal }));

  assert.equal(Buffer.concat(large).length, 11 * MIB);
});

test('a service that is busy for too long ends a call with what to do, an abort ends it at once', {
  skip,
}, async () => {
  const body = '<Error><Code>SlowDown</Code><Message>slow down</Message></Error>';
  const { proxy, store } = await through(() => ({ status: 503, body }));
  await using _proxy = proxy;
  const timeout = AbortSignal.timeout(50);

  await assert.rejects(store.put('key', mebibytes(1), { signal: timeout }), { name: 'TimeoutError' });
  await assert.rejects(store.head('key', { signal }), /head "key": SlowDown.*\(the service limits the rate/);
});

test('an abort ends a read whose connection has stalled', { skip }, async () => {
  const { proxy, direct, store } = await through(() => ({ cutAfterBytes: MIB, isStalled: true }));
  await using _proxy = proxy;
  await direct.put('key', mebibytes(3), { signal });
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  let bytes = 0;

  const reading = async (): Promise<void> => {
    for await (const piece of store.get('key', { signal: controller.signal })) {
      bytes += piece.length;
      if (bytes === MIB) setImmediate(() => controller.abort(reason));
    }
  };

  await assert.rejects(reading(), reason);
  assert.equal(bytes, MIB);
});

test('half a page of a list is an error, not the end', { skip }, async () => {
  const body =
    '<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>';
  const { proxy, store } = await through(() => ({ status: 200, body }));
  await using _proxy = proxy;

  await assert.rejects(
    Array.fromAsync(store.list('', { signal })),
    /list "": BadResponse: .* part of the list/,
  );
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

  assert.match(
    missing.message,
    /^s3 bucket "no-such-bucket": get "some\/key": NoSuchBucket: .*\(create the bucket/,
  );
  assert.match(unreachable.message, /get "some\/key": ECONNREFUSED: .*\(check \?endpoint=/);
  assert.match(forbidden.message, /SignatureDoesNotMatch: .*\(check AWS_ACCESS_KEY_ID/);
  for (const error of [missing, unreachable, forbidden]) {
    const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
    assert.doesNotMatch(shown, new RegExp(`${S3_SECRET}|Signature=`));
  }
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
