import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { openTimers } from '#testkit/measure/open-timers';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ServerService } from '#wire/gen/server_pb';
import { GrpcServer } from '../grpc-server.ts';
import { serve } from '../handler.ts';
import { Arrivals } from './arrivals.ts';
import { ARRIVAL_MS } from './connection-limits.ts';
import { demultiplex } from './demultiplexer.ts';
import { Listener } from './listener.ts';

/** A server on a Unix socket, which waits for the first request of each connection. */
async function start() {
  const directory = makeScratchDirectory('arrivals');
  const server = new GrpcServer({ services: [serve(ServerService, { serverInfo: () => ({}) })] });
  const arrivals = new Arrivals();
  const path = join(directory, 's');
  const listener = await Listener.listen(
    { transport: 'unix', path },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          arrivals,
          backchannels: { register: () => 1 },
          onGrpc: (duplex, from) => server.serveConnection(duplex, from),
        }),
    },
  );
  return {
    path,
    drain: () => server.shutdown({ graceMs: 5000, arriving: arrivals.drain() }),
    async [Symbol.asyncDispose]() {
      await server.shutdown({ graceMs: 0 });
      await listener.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

test('a client without a request so far is notified of a drain', async () => {
  await using server = await start();
  const session = connectHttp2('http://localhost', { createConnection: () => connect(server.path) });
  await once(session, 'remoteSettings');
  await delay(50); // the acknowledgement is on its way
  const goneAway = once(session, 'goaway');

  await server.drain();

  const [code, lastStreamId] = await goneAway;
  assert.deepEqual([code, lastStreamId], [0, 0]);
  session.destroy();
});

test('a connection whose handshake comes during a drain is served', async () => {
  await using server = await start();
  const socket = connect(server.path);
  await once(socket, 'connect');
  const drained = server.drain();
  await delay(50); // a drain that does not wait for the handshake ends meanwhile

  const session = connectHttp2('http://localhost', { createConnection: () => socket });
  const call = session.request({
    ':method': 'POST',
    ':path': '/gitaly.ServerService/ServerInfo',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.end(Buffer.alloc(5)); // an empty message

  const [trailers] = await once(call.resume(), 'trailers');
  assert.equal(trailers['grpc-status'], '0');
  await drained;
});

test('a drain waits for the connections that have not been decided on, and no longer', async (context) => {
  const timers = openTimers(context);
  const arrivals = new Arrivals();
  const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const decided = Promise.withResolvers<void>();
  for (const { promise } of [one, other, decided]) arrivals.add(promise);
  decided.resolve();
  await settle();
  let isOver = false;
  const drained = arrivals.drain().then(() => {
    isOver = true;
  });

  one.resolve();
  await settle();
  assert.deepEqual([isOver, timers()], [false, 1]);
  other.resolve();
  await drained;

  assert.equal(timers(), 0);
  // Now there is none left.
  await arrivals.drain();
});

test('connections that stay silent do not hold up a drain for long', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const arrivals = new Arrivals();
  arrivals.add(new Promise(() => {}));
  let isOver = false;
  const drained = arrivals.drain().then(() => {
    isOver = true;
  });

  mock.timers.tick(ARRIVAL_MS - 1);
  await settle();
  assert.equal(isOver, false);
  mock.timers.tick(1);

  await drained;
});
