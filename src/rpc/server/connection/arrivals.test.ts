import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
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
  await delay(50);

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

test('a connection that stays silent does not hold up a drain for long', async () => {
  await using server = await start();
  const socket = connect(server.path);
  await once(socket, 'connect');
  await delay(50);
  const startedAt = performance.now();

  await server.drain();

  const took = performance.now() - startedAt;
  assert.ok(took >= ARRIVAL_MS - 50 && took < ARRIVAL_MS + 2000, `${took} ms`);
  socket.destroy();
});
