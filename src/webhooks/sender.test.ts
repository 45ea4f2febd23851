import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { eventPayload } from '#events/event-payload';
import { PrivateAddressError, RefusedError, requirePublic, WebhookSender } from './sender.ts';

const KEY = Buffer.from('a key of more than 24 bytes');
const PAYLOAD = eventPayload('default', {
  sequence: 7,
  kind: 'reference',
  relativePath: 'a.git',
  timeMs: Date.UTC(2026, 0, 2),
  reference: 'refs/heads/main',
  newValue: 'a'.repeat(40),
});
const signal = AbortSignal.timeout(60_000);

async function receiver(context: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  context.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // of TCP
}

function senderTo(context: TestContext, url: string, mayBePrivate = true): WebhookSender {
  const filter = { pathPrefix: '', referencePattern: '' };
  const webhook = { name: 'x', url: new URL(url), key: KEY, storages: [], filter, mayBePrivate };
  const sender = new WebhookSender(webhook);
  context.after(() => sender[Symbol.dispose]());
  return sender;
}

test('receivers verify a delivery with the library of Standard Webhooks', async (context) => {
  const bodies: string[] = [];
  const verified: unknown[] = [];
  const port = await receiver(context, async (request, response) => {
    const body = await text(request);
    bodies.push(body);
    const headers = request.headers as Record<string, string>; // each is there once
    verified.push(new StandardWebhook(`whsec_${KEY.toString('base64')}`).verify(body, headers));
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['webhook-id'], 'default:7');
    response.end();
  });
  await senderTo(context, `http://127.0.0.1:${port}/hook?a=b`).send(PAYLOAD, signal);

  assert.deepEqual(verified, [
    {
      version: 1,
      id: 'default:7',
      type: 'reference',
      sequence: 7,
      storage: 'default',
      repository: 'a.git',
      time: '2026-01-02T00:00:00.000Z',
      reference: 'refs/heads/main',
      old_value: null,
      new_value: 'a'.repeat(40),
    },
  ]);
  assert.throws(() => new StandardWebhook(Buffer.alloc(32).toString('base64')).verify(bodies[0] ?? '', {}));
});

test('redirects are refused, and not followed', async (context) => {
  let visits = 0;
  const target = await receiver(context, () => visits++);
  const port = await receiver(context, (_, response) =>
    response.writeHead(307, { Location: `http://127.0.0.1:${target}/` }).end(),
  );
  await assert.rejects(senderTo(context, `http://127.0.0.1:${port}/`).send(PAYLOAD, signal), {
    name: 'RefusedError',
    message: 'the receiver responded with 307; redirects are not followed',
  });
  assert.equal(visits, 0);
});

test('a receiver may wish for a pause of at most an hour', async (context) => {
  for (const [header, expected] of [
    ['120', 120_000],
    ['999999', 3_600_000],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  ] as const) {
    const port = await receiver(context, (_, response) =>
      response.writeHead(503, { 'Retry-After': header }).end(),
    );
    const error = await senderTo(context, `http://127.0.0.1:${port}/`)
      .send(PAYLOAD, signal)
      .catch((problem: unknown) => problem);
    assert.ok(error instanceof RefusedError);
    assert.equal(error.retryAfterMs, expected);
  }
});

test('an endless response is cut off', async (context) => {
  const port = await receiver(context, (_, response) => {
    const write = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384)));
      if (!response.destroyed) response.once('drain', write);
    };
    write();
  });

  await senderTo(context, `http://127.0.0.1:${port}/`).send(PAYLOAD, signal);
});

test('an aborted attempt ends', async (context) => {
  const arrived = Promise.withResolvers<void>();
  const port = await receiver(context, () => arrived.resolve()); // never responds
  const ending = new AbortController();
  const sending = senderTo(context, `http://127.0.0.1:${port}/`).send(PAYLOAD, ending.signal);
  await arrived.promise;

  ending.abort();

  await assert.rejects(sending, { name: 'AbortError' });
});

for (const host of [
  '127.0.0.1',
  '127.1',
  '0x7f000001',
  '2130706433',
  '[::1]',
  '[::ffff:127.0.0.1]',
  'localhost',
])
  test(`a receiver at ${host} is refused`, async (context) => {
    let visits = 0;
    const port = await receiver(context, () => visits++);
    await assert.rejects(
      senderTo(context, `http://${host}:${port}/`, false).send(PAYLOAD, signal),
      PrivateAddressError,
    );
    assert.equal(visits, 0);
  });

test('only public addresses are allowed', () => {
  const privates = [
    ...['10.1.2.3', '100.64.0.1', '169.254.169.254', '172.31.255.255', '192.168.0.1', '224.0.0.1', '0.0.0.0'],
    ...[
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fd00::1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '::ffff:10.0.0.1',
      '::127.0.0.1',
      '::ffff:0:127.0.0.1',
      '4000::1',
    ],
    ...['ff02::1', 'not an address', ''],
  ];
  for (const address of privates) assert.throws(() => requirePublic(address), PrivateAddressError, address);
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])
    requirePublic(address);
});

// The delivery waited for good, and with it all later ones of the repository.
test('a receiver that switches to another protocol fails the attempt', async (context) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {}); // the sender closes it
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    );
  }).listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of TCP

  await assert.rejects(senderTo(context, `http://127.0.0.1:${port}/`).send(PAYLOAD, signal), /no response/);
});
