import assert from 'node:assert/strict';
import { connect as connectHttp2, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { garbageCollector } from '#base/memory/garbage-collector';
import { keepStreamsBriefly } from '#rpc/common/grpc/session-streams';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { openTimers } from '#testkit/measure/open-timers';
import { FrameScanner } from '../authority/frame-scanner.ts';
import { DRAIN_MS, LAST_READ_MS, STREAM_RESET_BURST } from './connection-limits.ts';
import { DEFAULT_KEEPALIVE, type KeepalivePolicy, ServerConnection } from './server-connection.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const SETTINGS_ACK = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);
/** `:method POST`, `:scheme http`, `:path /`, `:authority x`; the last frame of its stream. */
const REQUEST = Buffer.from([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x83, 0x86, 0x84, 1, 1, 0x78]);
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
/** Names stream 1, with NO_ERROR. */
const GOAWAY_OF_GRPC_GO = Buffer.from([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
const POLICY: KeepalivePolicy = {
  pingAfterMs: 1000,
  pingTimeoutMs: 100,
  minClientPingIntervalMs: 10_000,
  handshakeTimeoutMs: 5000,
};

function pingFrame(flags: number, payload: Uint8Array = Buffer.alloc(8)): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 8, PING, flags, 0, 0, 0, 0]), payload]);
}

/** Waits until all frames have arrived that were sent: each takes some turns in each direction. */
async function quiet(): Promise<void> {
  for (let round = 0; round < 4; round++) await settle();
}

/** A connection whose client sends bytes and counts the frames that it receives. */
function raw(policy: Partial<KeepalivePolicy> = {}) {
  const [client, duplex] = duplexPair();
  const closed: (Error | undefined)[] = [];
  const streams: ServerHttp2Stream[] = [];
  const connection = new ServerConnection(
    duplex,
    { ...POLICY, ...policy },
    {
      onStream: (stream) => streams.push(stream.on('error', () => {})),
      onClose: (error) => closed.push(error),
    },
  );
  const scanner = new FrameScanner();
  const frames: { type: number; flags: number; bytes: Buffer }[] = [];
  client.on('error', () => {});
  client.on('data', (chunk: Buffer) => frames.push(...scanner.add(chunk)));
  return {
    client,
    duplex,
    connection,
    closed,
    streams,
    count: (type: number) => frames.filter((frame) => frame.type === type).length,
    last: (type: number) =>
      frames.findLast((frame) => frame.type === type)?.bytes.subarray(9) ?? Buffer.alloc(0),
    send: async (...bytes: Buffer[]): Promise<void> => {
      client.write(Buffer.concat(bytes));
      await quiet();
    },
    /** Closes the connection. Its timers may be mocked ones, so they end before the test does. */
    end: async (): Promise<void> => {
      duplex.destroy();
      while (closed.length === 0) await settle();
    },
  };
}

// keepalive of Gitaly's server; the time limits are grpc-go's defaults
test('the settings are those of Gitaly', () => {
  assert.deepEqual(DEFAULT_KEEPALIVE, {
    pingAfterMs: 5 * 60_000,
    pingTimeoutMs: 20_000,
    minClientPingIntervalMs: 10_000,
    handshakeTimeoutMs: 120_000,
  });
});

test('a silent connection is pinged, and closed with an error without an answer', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  mock.timers.tick(1000); // it has just been opened
  await quiet();
  assert.equal(peer.count(PING), 0);
  mock.timers.tick(1000);
  await quiet();
  assert.equal(peer.count(PING), 1);
  mock.timers.tick(99);
  await quiet();
  assert.deepEqual([peer.closed, peer.count(PING)], [[], 1]);
  mock.timers.tick(1);
  await quiet();

  assert.deepEqual(
    peer.closed.map((error) => error?.message),
    ['keepalive ping not answered'],
  );
});

test('a ping that is answered is the first of many', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  mock.timers.tick(1000);
  for (let pings = 1; pings <= 3; pings++) {
    mock.timers.tick(1000);
    await quiet();
    assert.equal(peer.count(PING), pings);
    await peer.send(pingFrame(1, peer.last(PING)));
    mock.timers.tick(1000); // after an answer the next interval is quiet
    await quiet();
  }

  assert.deepEqual(peer.closed, []);
  await peer.end();
});

test('there is one ping at a time, and whoever is heard meanwhile stays', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw({ pingTimeoutMs: 2500 });
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  mock.timers.tick(1000);
  for (let intervals = 0; intervals < 3; intervals++) {
    mock.timers.tick(1000);
    await quiet();
    assert.equal(peer.count(PING), 1);
  }
  await peer.send(REQUEST); // in place of an answer
  mock.timers.tick(500);
  await quiet();
  assert.deepEqual([peer.streams.length, peer.closed], [1, []]);
  mock.timers.tick(1500);
  await quiet();

  assert.equal(peer.count(PING), 2);
  await peer.end();
});

for (const [name, bytes] of [
  ['begins a call', REQUEST],
  ['pings', pingFrame(0)],
] as const) {
  test(`a client that ${name} is not pinged in that interval`, async ({ mock }) => {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    const peer = raw();
    await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
    mock.timers.tick(1000);

    await peer.send(bytes);
    const before = peer.count(PING);
    mock.timers.tick(1000);
    await quiet();
    assert.equal(peer.count(PING), before);
    mock.timers.tick(1000);
    await quiet();

    assert.equal(peer.count(PING), before + 1);
    await peer.end();
  });
}

test('the settings of a client are awaited for a limited time', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const [silent, complete] = [raw(), raw()];
  await complete.send(PREFACE, SETTINGS);
  await silent.send(PREFACE);

  mock.timers.tick(POLICY.handshakeTimeoutMs - 1);
  await quiet();
  assert.deepEqual([silent.closed, complete.closed], [[], []]);
  mock.timers.tick(1);
  await quiet();

  assert.deepEqual([silent.closed, complete.closed], [[undefined], []]);
  await complete.end();
});

test('the third ping that comes too early ends a connection', async () => {
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  for (let pings = 0; pings < 3; pings++) await peer.send(pingFrame(0));
  assert.deepEqual([peer.count(GOAWAY), peer.closed], [0, []]);
  await peer.send(pingFrame(0));
  await quiet();

  // No stream, and ENHANCE_YOUR_CALM (RFC 9113, 7).
  assert.equal(peer.last(GOAWAY).subarray(0, 8).toString('hex'), '000000000000000b');
  assert.equal(peer.last(GOAWAY).subarray(8).toString(), 'too_many_pings');
  assert.equal(peer.closed.length, 1);
});

test('a drain sends GOAWAY and closes, though the client keeps its side open', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  peer.connection.drain();
  peer.connection.drain();
  await quiet();
  assert.equal(peer.count(GOAWAY), 1);
  assert.equal(peer.last(GOAWAY).subarray(4, 8).readUInt32BE(), 0);
  mock.timers.tick(LAST_READ_MS - 1);
  await quiet();
  assert.equal(peer.duplex.destroyed, false);
  mock.timers.tick(1);
  await quiet();

  assert.deepEqual([peer.duplex.destroyed, peer.closed], [true, [undefined]]);
  peer.connection.drain(); // does nothing now
});

test('a client that does not read its last frames is cut off', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
  peer.client.pause();

  peer.connection.destroy();
  await quiet();
  mock.timers.tick(DRAIN_MS - 1);
  assert.equal(peer.duplex.destroyed, false);
  mock.timers.tick(1);

  assert.equal(peer.duplex.destroyed, true);
});

test('a client that is disconnected for its pings and reads nothing is cut off', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
  peer.client.pause();

  await peer.send(...Array.from({ length: 4 }, () => pingFrame(0)));
  mock.timers.tick(DRAIN_MS - 1);
  assert.equal(peer.duplex.destroyed, false);
  mock.timers.tick(1);

  assert.equal(peer.duplex.destroyed, true);
});

test('a drain of a new connection comes after its settings, and after the calls with them', async () => {
  const peer = raw();
  peer.connection.drainAfterHandshake();
  await quiet();
  assert.equal(peer.count(GOAWAY), 0);

  await peer.send(PREFACE, SETTINGS, REQUEST);
  await quiet();

  assert.deepEqual([peer.count(GOAWAY), peer.streams.length], [1, 1]);
  assert.equal(peer.last(GOAWAY).readUInt32BE(), 1, 'the call is one of those that are served');
  await peer.end();
});

test('a drain of a new connection does not wait for settings for long', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const peer = raw();
  peer.connection.drainAfterHandshake();

  mock.timers.tick(DRAIN_MS - 1);
  await quiet();
  assert.equal(peer.count(GOAWAY), 0);
  mock.timers.tick(1);
  await quiet();

  assert.equal(peer.count(GOAWAY), 1);
  await peer.end();
});

for (const isNew of [false, true]) {
  test(`a connection that closes ${isNew ? 'at once' : 'in a ping'} leaves no timer`, async (context) => {
    const timers = openTimers(context);
    const peer = raw({ pingAfterMs: 5 });
    if (!isNew) {
      await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
      while (peer.count(PING) === 0) await quiet();
    }
    assert.equal(timers(), 2);

    peer.client.destroy();
    await peer.end();

    assert.equal(timers(), 0);
  });
}

test('the timers of a handshake, a ping and a drain end with them', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const timers = openTimers(context);
  const peer = raw();
  peer.connection.drainAfterHandshake();
  assert.equal(timers(), 3);
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK, REQUEST);
  assert.equal(timers(), 1);
  await peer.end();

  const before = timers(); // for the last frames of the first one
  const other = raw();
  await other.send(PREFACE, SETTINGS, SETTINGS_ACK);
  context.mock.timers.tick(2000);
  await quiet();
  assert.equal(timers(), before + 2);
  await other.send(pingFrame(1, other.last(PING)));
  assert.equal(timers(), before + 1);
  await other.end();
  await quiet();
});

test('a connection that ends with an error reports it, once', async () => {
  const peer = raw();
  // DATA on stream 0 is an error of the connection (RFC 9113, 6.1).
  await peer.send(PREFACE, SETTINGS, Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 0x78]));
  peer.client.end();
  while (peer.closed.length === 0) await quiet();
  await quiet();

  assert.equal(peer.closed.length, 1);
  assert.match(String(peer.closed[0]), /protocol error/i);
});

// Symptom: each gitaly-ssh of GitLab Shell was logged as a violation of the protocol.
test('a GOAWAY that names a stream of the client is no error after its calls', async () => {
  for (const isServed of [true, false]) {
    const peer = raw();
    await peer.send(PREFACE, SETTINGS, REQUEST);
    const [stream] = peer.streams;
    if (isServed) stream?.respond({}, { endStream: true });
    await quiet();

    await peer.send(GOAWAY_OF_GRPC_GO);
    while (peer.closed.length === 0) await settle();

    assert.equal(peer.closed[0] === undefined, isServed, String(peer.closed[0]));
  }
});

// Symptom: a few wrong bytes ended the process.
for (const [name, bytes, ended] of [
  ['wrong bytes', Buffer.from('GET / HTTP/1'), true],
  ['a preface', Buffer.concat([PREFACE, SETTINGS]), false],
] as const) {
  for (const isInPieces of [true, false]) {
    test(`${name} ${isInPieces ? 'in pieces' : 'at once'} before HTTP/2 are read`, async () => {
      const [client, duplex] = duplexPair();
      client.write(bytes);
      await settle();
      const [start, rest]: Buffer[] = isInPieces ? [duplex.read(11), duplex.read()] : [duplex.read()];
      if (rest !== undefined) duplex.unshift(rest);
      duplex.unshift(start);
      const closed: unknown[] = [];

      const connection = new ServerConnection(duplex, POLICY, {
        onStream: () => {},
        onClose: (error) => closed.push(error),
      });
      client.resume();
      await quiet();

      assert.equal(closed.length, ended ? 1 : 0);
      if (ended) assert.match(String(closed[0]), /bad client magic|protocol error/i);
      connection.destroy();
      client.destroy();
    });
  }
}

/** A request that has not ended, and its cancellation. */
const UNENDED = Buffer.from(REQUEST);
UNENDED.writeUInt8(4, 4);
const CANCEL = Buffer.from([0, 0, 4, RST_STREAM, 0, 0, 0, 0, 0, 0, 0, 0, 8]);

/** Frames of a client for some streams, from a number on. */
function ofStreams(frame: Buffer, first: number, count: number): Buffer {
  const frames = Array.from({ length: count }, (_, index) => {
    const copy = Buffer.from(frame);
    copy.writeUInt32BE(first + 2 * index, 5);
    return copy;
  });
  return Buffer.concat(frames);
}

// The reset of the streams by the end of the connection was counted, and the GOAWAY for too many
// failed where nothing caught it: any client could end the server.
test('a client that resets many streams and then leaves ends nothing but its connection', async (context) => {
  context.mock.method(performance, 'now', () => 0); // resets are not forgiven meanwhile
  const peer = raw();
  const count = STREAM_RESET_BURST - 1500;
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);

  await peer.send(ofStreams(UNENDED, 1, count), ofStreams(CANCEL, 1, count));
  await peer.send(ofStreams(UNENDED, 1 + 2 * count, count));
  while (peer.streams.length < 2 * count) await quiet();
  await peer.end();
  while (!peer.streams.every(({ closed }) => closed)) await quiet();
  await quiet();

  assert.deepEqual(peer.closed, [undefined]);
});

test('a client that resets too many streams is disconnected, also after a quiet hour', async (context) => {
  context.mock.method(performance, 'now', () => 3_600_000);
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK);
  for (let id = 1; id <= 1 + 2 * STREAM_RESET_BURST; id += 2000)
    await peer.send(ofStreams(UNENDED, id, 1000), ofStreams(CANCEL, id, 1000));
  for (let round = 0; round < 1000 && peer.closed.length === 0; round++) await quiet();

  assert.match(String(peer.closed[0]), /the client has reset too many streams/);
});

test('a stream that has ended is not kept by its connection', async () => {
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK, REQUEST);
  const session = peer.streams[0]?.session;
  const stream = ((ended = peer.streams.splice(0)[0]) => {
    assert.ok(ended !== undefined);
    peer.connection.onSent({ stream: ended, hasSent: false });
    ended.respond({}, { endStream: true });
    return new WeakRef(ended);
  })();
  await quiet();

  await quiet();
  const collectGarbage = garbageCollector();
  collectGarbage({ type: 'major' });
  await quiet();
  collectGarbage({ type: 'major' });

  assert.equal(stream.deref(), undefined);
  assert.ok(session, 'the session is open');
  assert.equal(keepStreamsBriefly(session), false, 'it keeps streams briefly already');
  await peer.end();
});

test('pings around what is sent are no strikes, and those after it are', async () => {
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK, REQUEST);
  const [stream] = peer.streams;
  assert.ok(stream !== undefined);
  const sender = { stream, hasSent: false };
  stream.respond();

  for (let pings = 0; pings < 10; pings++) {
    peer.connection.onSent(sender);
    await peer.send(pingFrame(0));
  }
  for (let pings = 0; pings < 2; pings++) await peer.send(pingFrame(0));
  peer.connection.onSent(sender); // forgives both
  for (let pings = 0; pings < 3; pings++) await peer.send(pingFrame(0));
  assert.deepEqual([peer.count(GOAWAY), sender.hasSent], [0, true]);
  await peer.send(pingFrame(0));

  assert.equal(peer.count(GOAWAY), 1);
});

test('pings are no strikes while a response waits for space', async () => {
  const peer = raw();
  await peer.send(PREFACE, SETTINGS, SETTINGS_ACK, REQUEST);
  const [stream] = peer.streams;
  assert.ok(stream !== undefined);
  stream.respond();
  peer.connection.onSent({ stream, hasSent: false });
  stream.write(Buffer.alloc(200_000)); // the client's window has 65,535 bytes

  for (let pings = 0; pings < 10; pings++) await peer.send(pingFrame(0));
  assert.equal(peer.count(GOAWAY), 0);
  await peer.send(Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8])); // the client cancels
  for (let pings = 0; pings < 4; pings++) await peer.send(pingFrame(0));

  assert.equal(peer.count(GOAWAY), 1);
});

test('a client may have many calls and large metadata', async () => {
  const [client, duplex] = duplexPair();
  const connection = new ServerConnection(duplex, POLICY, { onStream: () => {}, onClose: () => {} });
  const session = connectHttp2('http://localhost', { createConnection: () => client });

  await new Promise((resolve) => session.once('remoteSettings', resolve));
  await quiet();

  const { maxConcurrentStreams, maxHeaderListSize } = session.remoteSettings;
  assert.deepEqual([maxConcurrentStreams, maxHeaderListSize], [4096, 147_456]);
  assert.equal(session.state.remoteWindowSize, 16 << 20);
  connection.destroy();
  session.destroy();
  duplex.destroy();
});
