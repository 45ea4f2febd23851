import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { test } from 'node:test';
import { openTimers } from '#testkit/measure/open-timers';
import { never } from '#testkit/until';
import { HANDSHAKES_PER_TURN } from './connection-limits.ts';
import { TlsHandshakes } from './tls-handshakes.ts';

test('handshakes begin when bytes have come, a few in each turn, and silent clients are cut', async () => {
  let turn = 0;
  const begunAt: number[] = [];
  const begun: Socket[] = [];
  const handshakes = new TlsHandshakes({
    begin: (socket) => {
      begunAt.push(turn);
      begun.push(socket);
    },
    timeoutMs: 300,
  });
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has such an address.
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
  const [silent, gone] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
  silent.resume();
  while (accepted.length < 22) await new Promise(setImmediate);
  for (const client of [...clients, gone]) client.write('hello');
  await new Promise((resolve) => setTimeout(resolve, 50)); // the bytes arrive at sockets that are not read

  const watch = setInterval(() => {}, 1000);
  const count = (): void => {
    turn++;
    if (begun.length < 21) setImmediate(count);
  };
  setImmediate(count);
  for (const socket of accepted) handshakes.add(socket);
  await once(silent, 'close');

  assert.equal(begun.length, 21);
  for (const at of new Set(begunAt))
    assert.ok(begunAt.filter((each) => each === at).length <= HANDSHAKES_PER_TURN);
  clearInterval(watch);
  for (const socket of [...clients, gone]) socket.destroy();
  server.close();
});

test('who leaves before its turn costs no handshake', async () => {
  const begun: Socket[] = [];
  const handshakes = new TlsHandshakes({ begin: (socket) => begun.push(socket), timeoutMs: 1000 });
  const server = createServer((socket) => {
    handshakes.add(socket);
    socket.once('readable', () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // as above
  const client = connect(port, '127.0.0.1').resume();
  client.write('hello');

  await once(client, 'close');

  await never(() => begun.length > 0);
  server.close();
});

/** Adds sockets, of which the client has sent something. */
function addAll(handshakes: TlsHandshakes, sockets: readonly Socket[]): void {
  for (const socket of sockets) {
    handshakes.add(socket);
    socket.emit('readable');
  }
}

test('two handshakes begin in a turn, in their order, and who left takes no place', async () => {
  const begun: Socket[] = [];
  const handshakes = new TlsHandshakes({ begin: (socket) => begun.push(socket), timeoutMs: 1000 });
  const sockets = Array.from({ length: 6 }, () => new Socket());
  addAll(handshakes, sockets);
  assert.deepEqual(begun, []);
  const [first, second, gone, ...later] = sockets;
  // Its `close` event comes in a later iteration.
  gone?.destroy();

  await new Promise(setImmediate);
  assert.equal(begun.length, 2);
  await new Promise(setImmediate);
  assert.equal(begun.length, 4);
  await new Promise(setImmediate);
  assert.deepEqual(begun, [first, second, ...later]);
  addAll(handshakes, [new Socket()]);
  await new Promise(setImmediate);

  assert.equal(begun.length, 6);
});

test('a socket is awaited for its time, and leaves no timer behind', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = openTimers(context);
  const handshakes = new TlsHandshakes({ begin: () => {}, timeoutMs: 1000 });
  const [silent, loud, failed] = [new Socket(), new Socket(), new Socket()];
  for (const socket of [silent, loud, failed]) handshakes.add(socket);
  assert.equal(timers(), 3);

  loud.emit('readable');
  assert.equal(timers(), 2);
  failed.destroy(new Error('reset')); // something listens for the error
  await new Promise((resolve) => failed.once('close', resolve));
  assert.equal(timers(), 1);
  context.mock.timers.tick(999);
  assert.equal(silent.destroyed, false);
  context.mock.timers.tick(1);

  assert.deepEqual([silent.destroyed, loud.destroyed], [true, false]);
});
