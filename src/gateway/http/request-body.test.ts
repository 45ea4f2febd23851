import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { HttpRefusal } from './refusal.ts';
import { type BodyLimits, RequestBody } from './request-body.ts';

const LIMITS: BodyLimits = { maxBytes: 1000, idleTimeoutMs: 30_000, timeoutMs: 30_000 };

/** Returns a request as a server receives it, and the client's side. */
async function received(context: TestContext, headers: Record<string, string> = {}) {
  const server = createServer();
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const client = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers });
  client.on('error', () => {});
  client.flushHeaders();
  const [request]: IncomingMessage[] = await once(server, 'request');
  assert.ok(request);
  return { request, client };
}

async function readText(body: RequestBody): Promise<string> {
  return Buffer.concat(await Array.fromAsync(body)).toString();
}

const rejection = (status: number, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof HttpRefusal);
  assert.equal(error.answer.status, status);
  assert.match(error.answer.text, text);
  return true;
};

for (const encoding of ['', 'identity', 'gzip', 'x-gzip', ' GZIP ']) {
  test(`a body with the encoding "${encoding}" is read to its end`, async (context) => {
    const { request, client } = await received(context, { 'content-encoding': encoding });
    const text = '0abc content '.repeat(50);
    client.end(/gzip/i.test(encoding) ? gzipSync(text) : text);

    const body = RequestBody.of(request, LIMITS);

    assert.equal(await readText(body), text);
    assert.equal(body.refusal, undefined);
  });
}

test('another encoding, and a length above the limit, are refused at once', async (context) => {
  const brotli = await received(context, { 'content-encoding': 'br' });
  assert.throws(() => RequestBody.of(brotli.request, LIMITS), rejection(415, /not supported/));

  for (const [length, isAccepted] of [
    ['1000', true],
    ['1001', false],
  ] as const) {
    const { request } = await received(context, { 'content-length': length });
    if (isAccepted) RequestBody.of(request, LIMITS);
    else assert.throws(() => RequestBody.of(request, LIMITS), rejection(413, /limit of 1000 bytes/));
  }
});

test('a body that is larger than the limit is refused, decompressed, too', async (context) => {
  for (const [bytes, isAccepted] of [
    [1000, true],
    [1001, false],
  ] as const) {
    const { request, client } = await received(context, { 'content-encoding': 'gzip' });
    client.end(gzipSync(Buffer.alloc(bytes, '0')));
    const body = RequestBody.of(request, LIMITS);

    if (isAccepted) {
      assert.equal((await readText(body)).length, bytes);
    } else {
      await assert.rejects(readText(body), rejection(413, /limit of 1000 bytes/));
      assert.equal(body.refusal?.status, 413);
    }
  }
});

test('a body that is no gzip is refused', async (context) => {
  const { request, client } = await received(context, { 'content-encoding': 'gzip' });
  client.end('no gzip');
  const body = RequestBody.of(request, LIMITS);

  await assert.rejects(readText(body), rejection(400, /not valid gzip/));

  assert.partialDeepStrictEqual(body.refusal, { status: 400 });
});

test('a compressed body whose client disconnects ends with an error', async (context) => {
  const { request, client } = await received(context, { 'content-encoding': 'gzip' });
  client.write(gzipSync('content').subarray(0, 12));
  const body = RequestBody.of(request, LIMITS);
  const text = readText(body);

  client.destroy();

  await assert.rejects(text);
  assert.equal(body.refusal, undefined);
});

for (const [what, limits, text] of [
  ['pauses too long', { idleTimeoutMs: 50 }, /was idle for 0\.05 seconds/],
  ['takes too long', { timeoutMs: 50 }, /has not ended after 0\.05 seconds/],
] as const) {
  test(`a body that ${what} is refused`, async (context) => {
    const { request, client } = await received(context);
    client.write('0010');
    const body = RequestBody.of(request, { ...LIMITS, ...limits });

    await assert.rejects(readText(body), rejection(408, text));

    assert.equal(body.refusal?.status, 408);
  });
}

for (const beginning of ['content', '00', '000x', '\0\0\0\0', 'PACK'])
  test(`a body that begins with ${JSON.stringify(beginning)} is no request of git`, async (context) => {
    const { request, client } = await received(context);
    for (const byte of beginning) client.write(byte);
    client.end();
    const body = RequestBody.of(request, LIMITS);

    await assert.rejects(readText(body), rejection(400, /not one of Git's protocol/));

    assert.equal(body.refusal?.status, 400);
  });

test('an empty body, and one that begins with the length of a packet, are read', async (context) => {
  for (const text of ['', '0000', '00A0 and more', 'ffff\0']) {
    const { request, client } = await received(context);
    for (const byte of text) client.write(byte);
    client.end();
    assert.equal(await readText(RequestBody.of(request, LIMITS)), text);
  }
});

test('a compressed body ends with an error when the client leaves', async (context) => {
  const { request, client } = await received(context, { 'content-encoding': 'gzip' });
  client.write(gzipSync('0abc content '.repeat(50)).subarray(0, 20));
  const reading = readText(RequestBody.of(request, LIMITS));
  await once(request, 'data');

  client.destroy();

  await assert.rejects(reading);
});
