import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { listeningPort } from '#base/network/listening-port';
import { setVariable } from '#testkit/set-variable';
import { openStore } from './open-store.ts';
import { StoreError } from './store-error.ts';

const { signal } = new AbortController();
const FACTS = {
  etag: '"1"',
  'last-modified': 'Mon, 30 Nov 2026 00:00:00 GMT',
  'x-goog-generation': '1',
};

/** Starts a service that gives all requests the same response. */
async function startService(respond: (response: ServerResponse) => void) {
  const server = createServer((request, response) => {
    request.resume();
    respond(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = listeningPort(server);
  const http = `http://127.0.0.1:${port}`;
  return {
    urls: {
      s3: `s3://bucket?anonymous=true&region=x&use_path_style=true&endpoint=${http}`,
      gs: `gs://bucket?anonymous=true&endpoint=${http}`,
      azblob: `azblob://bucket?storage_account=a&protocol=http&domain=127.0.0.1:${port}`,
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

for (const kind of ['s3', 'gs', 'azblob'] as const) {
  // Born failing: the bytes of another part of the object were returned.
  test(`${kind}: a service that ignores ranges is an error, unless it has the start`, async (context) => {
    setVariable(context, 'AZURE_STORAGE_SAS_TOKEN', 'sig=x');
    await using service = await startService((response) => {
      response.writeHead(200, { ...FACTS, 'content-length': 10 }).end('0123456789');
    });
    const store = await openStore(service.urls[kind]);
    const read = async (range?: { start: number; length?: number }) =>
      Buffer.concat(await Array.fromAsync(store.get('key', { signal, ...(range && { range }) }))).toString();

    assert.equal(await read(), '0123456789');
    assert.equal(await read({ start: 0, length: 4 }), '0123');
    for (const range of [{ start: 3 }, { start: 3, length: 4 }])
      await assert.rejects(read(range), /get "key": BadResponse: the response is not the requested part/);
  });

  // Born failing: the page of a proxy became the message of a call, too long for a trailer.
  test(`${kind}: the error has the beginning of a long page`, async (context) => {
    setVariable(context, 'AZURE_STORAGE_SAS_TOKEN', 'sig=x');
    await using service = await startService((response) => {
      response.writeHead(403, { 'content-type': 'text/html' }).end(`<html>${'x'.repeat(100_000)}</html>`);
    });
    const store = await openStore(service.urls[kind]);

    const error = await store.delete(['key'], { signal }).catch((reason) => reason);

    assert.ok(error instanceof StoreError, String(error));
    assert.ok(
      error.message.length < 2000 && error.failure.message.length < 2000,
      String(error.message.length),
    );
  });

  test(`${kind}: what was aborted before sends nothing, and reads nothing of its source`, async (context) => {
    setVariable(context, 'AZURE_STORAGE_SAS_TOKEN', 'sig=x');
    let requests = 0;
    await using service = await startService((response) => {
      requests++;
      response.writeHead(200, FACTS).end();
    });
    const store = await openStore(service.urls[kind]);
    const reason = new Error('the client has left');
    const aborted = AbortSignal.abort(reason);
    let isRead = false;
    const pieces = async function* () {
      isRead = true;
      yield Buffer.from('content');
    };

    await assert.rejects(store.put('key', pieces(), { signal: aborted }), (error) => error === reason);

    assert.deepEqual([requests, isRead], [0, false]);
  });
}

// Born failing: a folder of another program ended the removal of files of Git LFS.
test('folders that no call can name are left out', async () => {
  await using service = await startService((response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"prefixes":["/","a/","b\\n/"]}');
  });
  const store = await openStore(service.urls.gs);

  assert.deepEqual(await Array.fromAsync(store.listFolders('', { signal })), [['a/']]);
});

// Symptom: with a wrong name of the bucket, each object was only missing.
test('s3: a missing bucket is an error also of a head, which has no text', async () => {
  let isThere = false;
  let requests = 0;
  await using service = await startService((response) => {
    requests++;
    const isHead = response.req.method === 'HEAD';
    response.writeHead(isThere && !isHead ? 200 : 404, { 'content-type': 'application/xml' });
    response.end(isThere ? '<ListBucketResult/>' : '<Error><Code>NoSuchBucket</Code></Error>');
  });
  const store = await openStore(service.urls.s3);

  await assert.rejects(store.head('key', { signal }), { name: 'StoreError', message: /NoSuchBucket/ });

  isThere = true;
  requests = 0;
  for (let count = 0; count < 2; count++) assert.equal(await store.head('key', { signal }), undefined);
  assert.equal(requests, 3);
});
