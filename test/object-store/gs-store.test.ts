import assert from 'node:assert/strict';
import { createVerify, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openStore } from '#object-store/open-store';
import { startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGcsServer } from '#testkit/servers/start-gcs-server';
import { setVariable } from '#testkit/set-variable';
import { errorOfPut } from '#testkit/stores/object-store-contract';

const { signal } = new AbortController();
const server = await startGcsServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined && 'Go is not installed';

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

/** Starts the metadata service of an instance, which issues a token after the other. */
async function startMetadata() {
  let tokens = 0;
  const http = createServer(({ url = '' }, response) => {
    response.setHeader('metadata-flavor', 'Google');
    response.setHeader('content-type', 'application/json');
    const isToken = url.includes('/service-accounts/default/token');
    response.end(isToken ? JSON.stringify({ access_token: `token-${++tokens}`, expires_in: 3600 }) : '{}');
  });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  return {
    host: `127.0.0.1:${(http.address() as AddressInfo).port}`, // it listens on TCP
    [Symbol.asyncDispose]: async () => {
      http.closeAllConnections();
      await once(http.close(), 'close');
    },
  };
}

test('an instance has a token from its metadata, and a new one when it has expired', {
  skip,
}, async (context) => {
  await using metadata = await startMetadata();
  setVariable(context, 'GCE_METADATA_HOST', metadata.host);
  setVariable(context, 'METADATA_SERVER_DETECTION', 'assume-present');
  setVariable(context, 'GOOGLE_APPLICATION_CREDENTIALS', undefined);
  const home = makeScratchDirectory('no-credentials');
  context.after(() => rmSync(home, { recursive: true }));
  setVariable(context, 'HOME', home);
  const url = new URL((await server?.createBucket()) ?? '');
  const authorizations: (string | undefined)[] = [];
  const refused = { status: 401, body: '{"error":{"message":"Invalid Credentials"}}' };
  const refuse = (_line: string, { headers }: IncomingMessage) => {
    authorizations.push(headers.authorization);
    return headers.authorization === 'Bearer token-1' ? refused : undefined;
  };
  await using proxy = await startHttpFaultProxy(server?.port ?? 0, refuse);
  url.search = `endpoint=http://127.0.0.1:${proxy.port}`;
  const store = await openStore(url.href);

  await store.put('key', pieces('content'), { signal });

  assert.equal((await store.head('key', { signal }))?.sizeBytes, 7);
  assert.deepEqual(authorizations, ['Bearer token-1', 'Bearer token-2', 'Bearer token-2']);
});

test('a URL is signed with the key of a service account', { skip }, async (context) => {
  const directory = makeScratchDirectory('gs-key');
  context.after(() => rmSync(directory, { recursive: true }));
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const file = join(directory, 'key.pem');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const url = new URL((await server?.createBucket()) ?? '');
  url.searchParams.set('access_id', 'signer@project.example');
  url.searchParams.set('private_key_path', file);
  const store = await openStore(url.href);
  await store.put("a b/c'(d)", pieces('content'), { signal });

  const signed = (await store.signedUrl("a b/c'(d)", { signal, validMs: 60_000 })) ?? '';

  assert.equal(await (await fetch(signed)).text(), 'content');
  const { host, pathname, search, searchParams } = new URL(signed);
  const query = search.slice(1).replace(/&X-Goog-Signature=.*/, '');
  // The canonical request of Google's signing process, version 4.
  const canonical = `GET\n${pathname}\n${query}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(canonical))).toString('hex');
  const date = searchParams.get('X-Goog-Date') ?? '';
  const text = `GOOG4-RSA-SHA256\n${date}\n${date.slice(0, 8)}/auto/storage/goog4_request\n${hash}`;
  const signature = Buffer.from(searchParams.get('X-Goog-Signature') ?? '', 'hex');
  assert.ok(createVerify('RSA-SHA256').update(text).verify(publicKey, signature), signed);
  assert.match(pathname, /^\/bucket-\d+\/a%20b\/c%27%28d%29$/);
  assert.equal(searchParams.get('X-Goog-Expires'), '60');
});

test('a bucket without a key to sign with has no signed URLs', { skip }, async () => {
  const store = await openStore((await server?.createBucket()) ?? '');

  assert.equal(await store.signedUrl('key', { signal, validMs: 1000 }), undefined);
});

test('errors name bucket, object, operation, code and what to do', { skip }, async (context) => {
  const url = new URL((await server?.createBucket()) ?? '');
  const failure = async (change: (url: URL) => void): Promise<string> =>
    (await errorOfPut(url.href, change)).message;
  setVariable(context, 'GOOGLE_APPLICATION_CREDENTIALS', join(import.meta.dirname, 'none.json'));

  const missing = await failure((changed) => {
    changed.hostname = 'no-such-bucket';
  });
  const unreachable = await failure(({ searchParams }) => searchParams.set('endpoint', 'http://127.0.0.1:1'));
  const anonymous = await failure(({ searchParams }) => searchParams.delete('anonymous'));

  assert.match(missing, /^gs bucket "no-such-bucket": put "some\/key": NoSuchBucket: .*\(create the bucket/);
  assert.match(unreachable, /put "some\/key": ECONNREFUSED: .*\(check the network/);
  assert.match(anonymous, /NoCredentials: .*none\.json.*\(set GOOGLE_APPLICATION_CREDENTIALS/);
});

test('the first error of a list in a bucket that is missing is about the bucket', { skip }, async () => {
  const url = new URL((await server?.createBucket()) ?? '');
  url.hostname = 'no-such-bucket';
  const store = await openStore(url.href);

  await assert.rejects(Array.fromAsync(store.list('', { signal })), /list "": NoSuchBucket: /);
});
