import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { until } from '#testkit/until';
import { ciphersOf, clientCiphers } from './client-offer.ts';
import { cheapest, SSH_CIPHERS } from './ssh-ciphers.ts';

/** Returns an identification and a KEXINIT packet. @see RFC 4253, 4.2 and 7.1 */
function offer(lists: readonly string[], identification = 'SSH-2.0-test\r\n'): Buffer {
  const encoded = lists.flatMap((list) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(list.length);
    return [length, Buffer.from(list)];
  });
  const payload = Buffer.concat([Buffer.from([20]), Buffer.alloc(16), ...encoded, Buffer.alloc(5)]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + 5);
  head[4] = 4;
  return Buffer.concat([Buffer.from(identification), head, payload, Buffer.alloc(4)]);
}

const LISTS = [
  'kex',
  'host key',
  'to server',
  'aes128-ctr,aes128-gcm@openssh.com',
  'mac',
  'mac',
  'none',
  'none',
];

async function connected(): Promise<{ client: Socket; server: Socket } & Disposable> {
  const listener = createServer({ allowHalfOpen: false }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  // A TCP server that listens has an address of this shape.
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [server]: Socket[] = await once(listener, 'connection');
  assert.ok(server !== undefined);
  const close = (): void => {
    client.destroy();
    server.destroy();
    listener.close();
  };
  return { client, server, [Symbol.dispose]: close };
}

test('the ciphers for the data of the server are read', () => {
  assert.deepEqual(ciphersOf(offer(LISTS)), ['aes128-ctr', 'aes128-gcm@openssh.com']);
});

test('an offer is incomplete until the list of ciphers is there', () => {
  const bytes = offer(LISTS);
  const needed = bytes.indexOf('aes128-gcm@openssh.com') + 'aes128-gcm@openssh.com'.length;

  for (let length = 0; length < needed; length++)
    assert.equal(ciphersOf(bytes.subarray(0, length)), 'incomplete');
  assert.notEqual(ciphersOf(bytes.subarray(0, needed)), 'incomplete');
});

test('a client without any cipher has an empty name', () => {
  const bytes = offer(['kex', 'host', 'to server', '', 'mac']);
  const needed = bytes.indexOf('to server') + 'to server'.length + 4;

  assert.deepEqual(ciphersOf(bytes.subarray(0, needed)), ['']);
});

test('another packet, or a list that is longer than its packet, is no offer', () => {
  const other = offer(LISTS);
  other[other.indexOf('\n') + 6] = 21;
  assert.equal(ciphersOf(other), undefined);
  const long = offer(LISTS);
  long.writeUInt32BE(0xffff_ffff, long.indexOf('kex') - 4);
  assert.equal(ciphersOf(long), undefined);
});

test('arbitrary bytes are never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      ciphersOf(Buffer.concat([Buffer.from('SSH-2.0-x\n'), bytes]));
    }),
  );
});

test('the bytes of the offer stay in the socket', async () => {
  using pair = await connected();
  const sent = Buffer.concat([offer(LISTS), Buffer.from('and more')]);
  for (const byte of sent) pair.client.write(Buffer.from([byte]));

  assert.deepEqual(await clientCiphers(pair.server, 60_000), ['aes128-ctr', 'aes128-gcm@openssh.com']);

  const received: Buffer[] = [];
  pair.server.on('data', (chunk: Buffer) => received.push(chunk)).resume();
  pair.client.end();
  await once(pair.server, 'end');
  assert.deepEqual(Buffer.concat(received), sent);
});

test('an offer that arrives in two pieces is read as a whole', async () => {
  using pair = await connected();
  const bytes = offer(LISTS);
  const ciphers = clientCiphers(pair.server, 60_000);

  pair.client.write(bytes.subarray(0, 60));
  await until(() => pair.server.bytesRead === 60, 'the first piece has arrived');
  pair.client.end(bytes.subarray(60));

  assert.deepEqual(await ciphers, ['aes128-ctr', 'aes128-gcm@openssh.com']);
});

test('a client that waits for the server’s offer is served without its own', async () => {
  using pair = await connected();
  pair.client.write('SSH-2.0-test\r\n');

  assert.equal(await clientCiphers(pair.server, 1), undefined);
});

test('a client with AES-GCM is offered only that', () => {
  const both = ['chacha20-poly1305@openssh.com', 'aes128-ctr', 'aes256-gcm@openssh.com'];
  assert.deepEqual(cheapest(SSH_CIPHERS, both), ['aes256-gcm@openssh.com']);
  assert.deepEqual(cheapest(SSH_CIPHERS, ['aes128-ctr']), SSH_CIPHERS);
  assert.deepEqual(cheapest(SSH_CIPHERS, undefined), SSH_CIPHERS);
  assert.deepEqual(cheapest(['aes256-ctr'], both), ['aes256-ctr']);
});
