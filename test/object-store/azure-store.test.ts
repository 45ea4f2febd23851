import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import {
  BlobServiceClient,
  type ContainerClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { openStore } from '#object-store/open-store';
import { AZURE_ACCOUNT, AZURE_KEY, startAzureServer } from '#testkit/servers/start-azure-server';
import { setVariable } from '#testkit/set-variable';
import { errorOfPut } from '#testkit/stores/object-store-contract';

const { signal } = new AbortController();
const server = await startAzureServer();
after(() => server?.[Symbol.asyncDispose]());
const skip = server === undefined && "npm's registry cannot be reached";

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function newContainer(): Promise<URL> {
  return new URL((await server?.createContainer()) ?? '');
}

/** The vendor's own client of a container. */
function clientOf({ hostname }: URL): ContainerClient {
  const credential = new StorageSharedKeyCredential(AZURE_ACCOUNT, AZURE_KEY);
  const service = new BlobServiceClient(`http://127.0.0.1:${server?.port}/${AZURE_ACCOUNT}`, credential);
  return service.getContainerClient(hostname);
}

test('a signed URL is readable without credentials, until it expires', { skip }, async () => {
  const store = await openStore((await newContainer()).href);
  await store.put('a b/c', pieces('content'), { signal });
  const before = Date.now();

  const signed = (await store.signedUrl('a b/c', { signal, validMs: 60_000 })) ?? '';
  const response = await fetch(signed);
  const unsigned = await fetch(new URL(new URL(signed).pathname, signed));

  assert.equal(await response.text(), 'content');
  assert.equal(unsigned.ok, false);
  await unsigned.arrayBuffer();
  const expiry = Date.parse(new URL(signed).searchParams.get('se') ?? '');
  assert.ok(expiry >= before + 60_000 && expiry <= Date.now() + 61_000, String(expiry));
});

test('a SAS token gives access, and is not passed on in signed URLs', { skip }, async (context) => {
  const url = await newContainer();
  const expiresOn = new Date(Date.now() + 60_000);
  const sas = await clientOf(url).generateSasUrl({
    permissions: ContainerSASPermissions.parse('rwdl'),
    expiresOn,
  });
  setVariable(context, 'AZURE_STORAGE_KEY', undefined);
  setVariable(context, 'AZURE_STORAGE_SAS_TOKEN', new URL(sas).search);
  const store = await openStore(url.href);

  await store.put('key', pieces('content'), { signal });

  assert.equal(Buffer.concat(await Array.fromAsync(store.get('key', { signal }))).toString(), 'content');
  assert.equal(await store.signedUrl('key', { signal, validMs: 1000 }), undefined);
});

test('a connection string gives access, and signs URLs with its key', { skip }, async (context) => {
  const url = await newContainer();
  const endpoint = `http://127.0.0.1:${server?.port}/${AZURE_ACCOUNT}`;
  const text = `AccountName=${AZURE_ACCOUNT};AccountKey=${AZURE_KEY};BlobEndpoint=${endpoint}`;
  setVariable(context, 'AZURE_STORAGE_ACCOUNT', undefined);
  setVariable(context, 'AZURE_STORAGE_KEY', undefined);
  setVariable(context, 'AZURE_STORAGE_CONNECTION_STRING', `DefaultEndpointsProtocol=http;${text}`);
  const store = await openStore(`azblob://${url.hostname}`);

  await store.put('key', pieces('content'), { signal });

  const signed = (await store.signedUrl('key', { signal, validMs: 60_000 })) ?? '';
  assert.equal(await (await fetch(signed)).text(), 'content');
});

test('the blocks of a large object that failed are no object', { skip }, async () => {
  const url = await newContainer();
  const store = await openStore(url.href);
  const failing = async function* (): AsyncGenerator<Buffer> {
    for (let count = 0; count < 12; count++) yield Buffer.alloc(1024 * 1024);
    throw new Error('the source failed');
  };

  await assert.rejects(store.put('key', failing(), { signal }), { message: 'the source failed' });

  assert.equal(await store.head('key', { signal }), undefined);
  assert.deepEqual((await Array.fromAsync(store.list('', { signal }))).flat(), []);
});

test('errors name container, object, operation, code and what to do, and no secret', {
  skip,
}, async (context) => {
  const url = await newContainer();
  const failure = (change: (url: URL) => void) => errorOfPut(url.href, change);

  const missing = await failure((changed) => {
    changed.hostname = 'no-such-container';
  });
  const unreachable = await failure(({ searchParams }) => searchParams.set('domain', '127.0.0.1:1'));
  setVariable(context, 'AZURE_STORAGE_KEY', Buffer.from('another').toString('base64'));
  const forbidden = await failure(() => {});

  assert.match(
    missing.message,
    /^azblob container "no-such-container": put "some\/key": ContainerNotFound: .*\(create the container/,
  );
  assert.match(unreachable.message, /put "some\/key": ECONNREFUSED: .*\(check the storage account/);
  assert.match(forbidden.message, /AuthorizationFailure|AuthenticationFailed/);
  for (const error of [missing, unreachable, forbidden]) {
    const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
    assert.equal(shown.includes(AZURE_KEY), false);
    assert.doesNotMatch(shown, /SharedKey /);
  }
});
