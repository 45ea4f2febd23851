import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect as connectHttp2, performServerHandshake } from 'node:http2';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { BACKCHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YamuxStream } from '#rpc/common/yamux/stream';
import { settle } from '#testkit/raw-yamux-peer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { GrpcServer } from '../grpc-server.ts';
import type { Peer } from '../handler.ts';
import { Backchannels } from './backchannels.ts';
import { demultiplex } from './demultiplexer.ts';

const PEER = { transport: 'unix', address: '' } as const;

interface Taken {
  readonly duplex: Duplex;
  readonly peer: Peer;
}

function parts(handshakeTimeoutMs = 1000) {
  const taken: Taken[] = [];
  const backchannels = new Backchannels(() => ({ closed: new Promise(() => {}), destroy: () => {} }));
  const onGrpc = (duplex: Duplex, peer: Peer) => void taken.push({ duplex, peer });
  return { taken, backchannels, options: { onGrpc, backchannels, handshakeTimeoutMs } };
}

for (const input of ['PRI * HTTP/2.0\r\n', 'PRI * HTTP/', 'too short']) {
  test(`a connection that starts with ${JSON.stringify(input)} is passed on with all its bytes`, async () => {
    const [near, far] = duplexPair();
    const { taken, options } = parts();

    far.end(input);
    await demultiplex(near, PEER, options);

    assert.deepEqual(taken[0]?.peer, { ...PEER, backchannelId: undefined });
    assert.equal(taken[0]?.duplex, near);
    assert.equal(await text(near), input);
  });
}

test('on a multiplexed connection the first stream replaces the connection', async () => {
  const [near, far] = duplexPair();
  const { taken, backchannels, options } = parts();

  far.write(BACKCHANNEL_MAGIC);
  const client = new YamuxSession(far, { role: 'client' });
  const stream = await client.open();
  stream.end('PRI * HTTP/2.0');
  await demultiplex(near, PEER, options);

  const [first] = taken;
  assert.ok(first?.duplex instanceof YamuxStream);
  assert.deepEqual(first.peer, { ...PEER, backchannelId: 1 });
  assert.equal(await text(first.duplex), 'PRI * HTTP/2.0');
  assert.equal(backchannels.session(first.peer)?.settings.acceptBacklog, 1);
});

test('when the first stream ends, the session ends and leaves the registry', async () => {
  const [near, far] = duplexPair();
  const { taken, backchannels, options } = parts();
  far.write(BACKCHANNEL_MAGIC);
  const client = new YamuxSession(far, { role: 'client' });
  const stream = await client.open();
  await demultiplex(near, { ...PEER, transport: 'tcp' }, options);
  const [first] = taken;
  assert.ok(first !== undefined);

  stream.end();
  stream.resume();
  first.duplex.resume();
  first.duplex.end();
  await client.closed;
  await settle();

  assert.equal(backchannels.size, 0);
  assert.equal(backchannels.session(first.peer), undefined);
  assert.equal(near.destroyed, true);
});

for (const { name, bytes } of [
  { name: 'says nothing', bytes: '' },
  { name: 'stops in the magic', bytes: BACKCHANNEL_MAGIC.slice(0, 10) },
  { name: 'opens no stream', bytes: BACKCHANNEL_MAGIC },
  { name: 'stops in a header of the multiplexer', bytes: `${BACKCHANNEL_MAGIC}\0\x01\0\x01` },
]) {
  test(`a client that ${name} is disconnected after the handshake timeout`, async () => {
    const [near, far] = duplexPair();
    const { taken, options } = parts(10);

    if (bytes !== '') far.write(bytes);
    await demultiplex(near, PEER, options);

    assert.equal(near.destroyed, true);
    assert.deepEqual(taken, []);
  });
}

for (const bytes of ['', BACKCHANNEL_MAGIC]) {
  test(`a client that ends after ${JSON.stringify(bytes)} is removed`, async () => {
    const [near, far] = duplexPair();
    const { taken, options } = parts();

    far.end(bytes);
    far.resume();
    await demultiplex(near, PEER, options);
    await settle();

    assert.deepEqual(taken, []);
    assert.equal(near.destroyed, true);
  });
}

test('a client that disconnects during the handshake is removed', async () => {
  const [near, far] = duplexPair();
  const { taken, options } = parts();

  const done = demultiplex(near, PEER, options);
  far.destroy();
  near.destroy(new Error('reset'));
  await done;

  assert.deepEqual(taken, []);
});

test('a plain connection stays a socket, and HTTP/2 works however its bytes are split', async (context) => {
  const { taken, options } = parts();
  const path = await serve(context, (socket) => demultiplex(socket, PEER, options));

  for (const pause of [false, true]) {
    const session = connectHttp2('http://localhost', {
      createConnection: () => (pause ? dribble(connect(path)) : connect(path)),
    });
    const answer = text(session.request());
    while (taken.length === 0) await settle();
    const [plain] = taken.splice(0);
    assert.ok(plain?.duplex instanceof Socket);
    // data that arrives meanwhile must not get lost
    if (pause) await new Promise((resolve) => setTimeout(resolve, 5));
    performServerHandshake(plain.duplex).on('stream', (stream) => stream.respond() ?? stream.end('hello'));

    assert.equal(await answer, 'hello');
    session.destroy();
  }
});

// A browser request to the server's port ended the process.
for (const { name, bytes } of [
  { name: 'a request of HTTP/1', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n') },
  { name: 'a preface with a mistake behind it', bytes: Buffer.from('PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n') },
  { name: 'more garbage than a socket reads at once', bytes: Buffer.alloc(200_000, 0x41) },
]) {
  test(`${name} ends its connection and nothing else`, async (context) => {
    const server = new GrpcServer({ services: [] });
    const onGrpc = (duplex: Duplex, peer: Peer) => server.serveConnection(duplex, peer);
    const path = await serve(context, (socket) => demultiplex(socket, PEER, { ...parts().options, onGrpc }));

    const socket = connect(path);
    socket.on('error', () => {}); // disconnected while it writes
    socket.resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));

    assert.equal(server.connections, 0);
  });
}

/** Returns a connection whose bytes reach `socket` one by one. */
function dribble(socket: Socket): Duplex {
  const [client, inner] = duplexPair();
  socket.pipe(inner);
  void (async () => {
    for await (const chunk of inner) {
      for (const byte of chunk) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
    }
    socket.destroy();
  })();
  return client;
}

async function serve(context: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  const directory = makeScratchDirectory('demultiplexer');
  const server = createServer(onConnection).listen(join(directory, 's'));
  await once(server, 'listening');
  context.after(() => {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return join(directory, 's');
}
