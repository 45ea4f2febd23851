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
import { settle } from '#testkit/clients/raw-yamux-peer';
import { openTimers } from '#testkit/measure/open-timers';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { GrpcServer } from '../grpc-server.ts';
import type { Peer } from '../handler.ts';
import { Arrivals } from './arrivals.ts';
import { Backchannels } from './backchannels.ts';
import { HANDSHAKE_TIMEOUT_MS, MULTIPLEXER_CLOSE_MS } from './connection-limits.ts';
import { type DemultiplexerOptions, demultiplex } from './demultiplexer.ts';

/** Longer than the preface, so nothing more is awaited. */
const NO_HTTP2 = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
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
  stream.write('no HTTP/2, so that it is passed on without a request');
  await demultiplex(near, PEER, options);
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

for (const bytes of ['', BACKCHANNEL_MAGIC, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
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

test('the first bytes may take two minutes, and a decision ends the wait', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = openTimers(context);
  const { taken, options } = parts();
  const [silent, , decided, client] = [...duplexPair(), ...duplexPair()];
  const { handshakeTimeoutMs: _, ...standard } = options;
  const done = demultiplex(silent, PEER, standard);
  client.write(NO_HTTP2);
  await demultiplex(decided, PEER, standard);
  assert.deepEqual([taken.length, timers()], [1, 1]);

  context.mock.timers.tick(HANDSHAKE_TIMEOUT_MS - 1);
  await settle();
  assert.equal(silent.destroyed, false);
  context.mock.timers.tick(1);
  await done;

  assert.deepEqual([silent.destroyed, decided.destroyed, timers()], [true, false, 0]);
});

test('a client of any transport is passed on with its first request', async () => {
  for (const transport of ['tcp', 'tls', 'unix', 'internal'] as const) {
    const [near, far] = duplexPair();
    const { taken, options } = parts();
    far.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

    const done = demultiplex(near, { transport, address: 'x' }, options);
    await settle();

    assert.equal(taken.length, 0);
    assert.notEqual(far.read(), null, 'a client may wait for the settings before its request');
    near.destroy();
    await done;
  }
});

test('a client that is idle after its handshake is passed on, and stays', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const [near, far] = duplexPair();
  const { taken, options } = parts();
  far.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  far.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]));
  const done = demultiplex(near, PEER, options);
  await settle();

  context.mock.timers.tick(1_000_000);
  await done;

  assert.deepEqual([taken.length, near.destroyed], [1, false]);
});

test('an error of a connection that was passed on has an owner', async () => {
  const [near, far] = duplexPair();
  const { taken, options } = parts();
  far.write(NO_HTTP2);
  await demultiplex(near, PEER, options);

  near.emit('error', new Error('late'));

  assert.deepEqual([taken.length, near.destroyed], [1, true]);
});

test('a drain waits for connections that have not been decided on', async () => {
  const [near, far] = duplexPair();
  const { options } = parts();
  const arrivals = new Arrivals();
  let isDrained = false;
  const done = demultiplex(near, PEER, { ...options, arrivals });
  const drained = arrivals.drain().then(() => {
    isDrained = true;
  });
  await settle();
  assert.equal(isDrained, false);

  far.write(NO_HTTP2);
  await done;

  await drained;
});

/** A client that has opened the first stream of a multiplexed connection. */
async function multiplexed(options: Omit<DemultiplexerOptions, 'onGrpc' | 'backchannels'> = {}) {
  const [near, far] = duplexPair();
  const { taken, backchannels, options: standard } = parts();
  far.write(BACKCHANNEL_MAGIC);
  const client = new YamuxSession(far, { role: 'client' });
  const stream = await client.open();
  const done = demultiplex(near, PEER, { ...standard, ...options });
  return { near, client, stream, done, taken, backchannels };
}

test('the bytes of a multiplexed connection are counted in both directions', async () => {
  const counted = { read: 0, write: 0 };
  const { stream, done, client } = await multiplexed({
    onTransfer: (direction, bytes) => {
      counted[direction] += bytes;
    },
  });

  stream.write('x'.repeat(1000));
  await done;
  await settle();

  assert.ok(counted.read > 1000 && counted.write > 0, JSON.stringify(counted));
  client.destroy();
});

test('a multiplexed client whose stream stays silent is disconnected', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { near, stream, done, taken } = await multiplexed({ handshakeTimeoutMs: 10 });
  stream.on('error', () => {});
  stream.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await settle();

  context.mock.timers.tick(10);
  await done;
  await settle();

  assert.deepEqual([taken, near.destroyed], [[], true]);
});

test('other streams have five seconds after the first one has ended', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = openTimers(context);
  const { near, client, stream, done, taken, backchannels } = await multiplexed();
  stream.write(NO_HTTP2);
  await done;
  const [first] = taken;
  assert.ok(first !== undefined);
  const [sidechannel, other] = await Promise.all([backchannels.session(first.peer)?.open(), client.accept()]);
  other?.on('error', () => {});
  sidechannel?.on('error', () => {});
  const before = timers();

  first.duplex.destroy();
  stream.on('error', () => {}).destroy();
  await settle();
  context.mock.timers.tick(MULTIPLEXER_CLOSE_MS - 1);
  await settle();
  assert.equal(near.destroyed, false);
  context.mock.timers.tick(1);
  await settle();

  assert.equal(near.destroyed, true);
  assert.ok(timers() <= before);
});

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

// curl reported "Received HTTP/0.9 when not allowed".
test('a browser that speaks HTTP/1 reads what the port is for', async (context) => {
  const problems: string[] = [];
  const server = new GrpcServer({ services: [], onConnectionError: ({ message }) => problems.push(message) });
  const onGrpc = (duplex: Duplex, peer: Peer) => server.serveConnection(duplex, peer);
  const path = await serve(context, (socket) => demultiplex(socket, PEER, { ...parts().options, onGrpc }));
  const socket = connect(path);

  socket.write(NO_HTTP2);

  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 505 /);
  assert.equal(Number(/Content-Length: (\d+)/.exec(head)?.[1]), Buffer.byteLength(body));
  assert.match(body, /^This port serves gRPC .* gitaly-ts up\n$/);
  assert.deepEqual(problems, ['a request of HTTP/1']);
});

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
