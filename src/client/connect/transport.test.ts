import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openTransport, type Transport, type TransportOptions } from './transport.ts';

const PLAIN: TransportOptions = {
  ...{ tls: undefined, multiplexing: undefined, pingsOnlyWhenHeld: false },
  channel: { authority: 'localhost', isSecure: false, userAgent: 'test' },
};

/** Opens a transport to a server that accepts connections and sends nothing. */
async function open(context: TestContext): Promise<Transport> {
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket.on('error', () => {}).resume()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const endpoint = { kind: 'tcp', tls: false, serverName: '', host: '127.0.0.1', port } as const;
  const transport = await openTransport(endpoint, new AbortController().signal, PLAIN);
  context.after(async () => {
    await transport.destroy();
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  return transport;
}

test('a connection keeps the process alive while at least one call holds it', async (context) => {
  const kept: boolean[] = [];
  for (const [name, isKept] of [
    ['ref', true],
    ['unref', false],
  ] as const) {
    const original = Socket.prototype[name];
    context.mock.method(Socket.prototype, name, function (this: Socket) {
      kept.push(isKept);
      return original.call(this);
    });
  }
  const transport = await open(context);
  const changes = () => kept.splice(0);
  assert.equal(changes().at(-1), false, 'an idle one does not');

  transport.hold();
  assert.deepEqual([changes(), transport.calls], [[true], 1]);
  transport.hold();
  assert.deepEqual([changes(), transport.calls], [[], 2]);
  transport.release();
  assert.deepEqual([changes(), transport.calls], [[], 1]);
  transport.release();
  assert.deepEqual([changes(), transport.calls], [[false], 0]);
});

test('a destroyed connection accepts no calls, and is closed when that resolves', async (context) => {
  const transport = await open(context);
  assert.equal(transport.isOpen, true);

  await transport.destroy();

  assert.equal(transport.isOpen, false);
  await transport.closed;
});

test('a connection that drains without calls closes by itself', async (context) => {
  const transport = await open(context);

  transport.drain();

  await transport.closed;
  assert.equal(transport.isOpen, false);
});
