import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { sessionPair, sessionWithRawPeer, settle } from '#testkit/clients/raw-yamux-peer';
import { never } from '#testkit/until';
import { encodeHeader, FLAG, FRAME_TYPE, GO_AWAY } from './frame.ts';
import { YamuxSession } from './session.ts';
import { YAMUX_SERVER } from './settings.ts';

const MIB = 1024 * 1024;
const WINDOW = FRAME_TYPE.windowUpdate;

test('a client uses odd ids, grants more than the initial window, and sends before the ACK', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client', maxStreamWindowBytes: MIB });

  const first = await session.open();
  first.write('early');
  await session.open();
  await settle();

  assert.deepEqual(peer.take(), ['window:SYN 1 +786432', 'data 1 early', 'window:SYN 3 +786432']);
});

test('a server uses even ids', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  await session.open();
  await settle();

  assert.deepEqual(peer.take(), ['window:SYN 2 +0']);
});

test('a stream is acknowledged when it is accepted, with the remaining window', async () => {
  const { session, peer } = sessionWithRawPeer(YAMUX_SERVER);

  peer.frame(WINDOW, FLAG.syn, 1, 0);
  peer.data(1, 'hi');
  await settle();
  assert.deepEqual(peer.take(), []);
  const stream = await session.accept();
  await settle();

  assert.deepEqual(peer.take(), ['window:ACK 1 +16515072']);
  assert.equal(String(stream?.read()), 'hi');
});

test('a SYN may come on a data frame', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  peer.data(1, 'at once', FLAG.syn);
  const stream = await session.accept();
  await settle();

  assert.equal(String(stream?.read()), 'at once');
});

test('one stream beyond the backlog is reset, and the others continue', async () => {
  const { session, peer } = sessionWithRawPeer(YAMUX_SERVER);

  peer.frame(WINDOW, FLAG.syn, 1, 0);
  peer.frame(WINDOW, FLAG.syn, 3, 0);
  await settle();
  assert.deepEqual(peer.take(), ['window:RST 3 +0']);
  const stream = await session.accept();

  assert.equal(stream?.id, 1);
  assert.equal(session.streamCount, 1);
});

test('a waiting stream that its peer resets frees space in the backlog', async () => {
  const { session, peer } = sessionWithRawPeer(YAMUX_SERVER);

  peer.frame(WINDOW, FLAG.syn, 1, 0);
  peer.frame(WINDOW, FLAG.rst, 1, 0);
  peer.frame(WINDOW, FLAG.syn, 3, 0);
  await settle();

  assert.deepEqual(peer.take(), []);
  assert.equal((await session.accept())?.id, 3);
});

for (const { name, answer } of [
  { name: 'an ACK', answer: FLAG.ack },
  { name: 'a RST', answer: FLAG.rst },
]) {
  test(`with backlog 1 a second open waits for ${name} to the first`, async () => {
    const { session, peer } = sessionWithRawPeer(YAMUX_SERVER);

    await session.open();
    const second = session.open();
    await settle();
    assert.deepEqual(peer.take(), ['window:SYN 2 +16515072']);
    peer.frame(WINDOW, answer, 2, 0);

    assert.equal((await second).id, 4);
  });
}

test('a peer that keeps opening streams that nobody accepts is disconnected', async () => {
  for (const flag of [FLAG.syn, FLAG.rst]) {
    const { session, peer } = sessionWithRawPeer({ role: 'server', acceptBacklog: 1 });
    let id = 1;
    for (let times = 0; times < 1002; times++) {
      peer.frame(FRAME_TYPE.windowUpdate, FLAG.syn, id, 0);
      if (flag === FLAG.rst) peer.frame(FRAME_TYPE.windowUpdate, FLAG.rst, id, 0);
      id += 2;
    }
    await session.closed;

    assert.equal(session.error?.message, 'too many streams that nobody accepts');
    await settle();
    assert.equal(peer.take().at(-1), 'goAway 1');
  }
});

test('a waiting open can be aborted and frees its place', async () => {
  const { session, peer } = sessionWithRawPeer(YAMUX_SERVER);
  const controller = new AbortController();

  await session.open();
  const second = session.open({ signal: controller.signal });
  const third = session.open();
  controller.abort(new Error('changed my mind'));
  await assert.rejects(second, /changed my mind/);
  peer.frame(WINDOW, FLAG.ack, 2, 0);

  assert.equal((await third).id, 4);
});

test('an own stream that is not acknowledged in time ends the session', async () => {
  const { session } = sessionWithRawPeer({ role: 'client', streamOpenTimeoutMs: 5 });

  await session.open();
  await session.closed;

  assert.equal(session.error?.message, 'stream open timeout');
});

test('an acknowledged stream may stay silent longer than the open timeout', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client', streamOpenTimeoutMs: 20 });

  await session.open();
  peer.frame(WINDOW, FLAG.ack, 1, 0);
  await settle();

  await never(() => session.isEnded);
});

test('pings are answered with their value', async () => {
  const { peer } = sessionWithRawPeer({ role: 'server' });

  peer.frame(FRAME_TYPE.ping, FLAG.syn, 0, 0xdead_beef);
  await settle();

  assert.deepEqual(peer.take(), ['ping:ACK 3735928559']);
});

test('a ping measures the round trip to the peer', async () => {
  const { client } = sessionPair();

  const [first, second] = await Promise.all([client.ping(), client.ping()]);

  assert.ok(first >= 0 && second >= 0);
});

test('a ping without a response fails', async () => {
  const { session } = sessionWithRawPeer({ role: 'client', connectionWriteTimeoutMs: 5 });

  await assert.rejects(session.ping(), { name: 'YamuxError', reason: 'ping-timeout' });
  assert.equal(session.isEnded, false);
});

test("after the peer's go away nothing is opened, and open streams continue", async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client', acceptBacklog: 1 });

  const stream = await session.open();
  const waiting = session.open();
  peer.frame(FRAME_TYPE.goAway, 0, 0, GO_AWAY.normal);
  await assert.rejects(waiting, {
    reason: 'remote-go-away',
    message: 'remote end is not accepting connections',
  });
  await assert.rejects(session.open(), { reason: 'remote-go-away' });
  peer.data(1, 'still here', FLAG.ack);
  await settle();

  assert.equal(String(stream.read()), 'still here');
});

for (const code of [GO_AWAY.protocolError, GO_AWAY.internalError, 77]) {
  test(`go away ${code} ends the session`, async () => {
    const { session, peer } = sessionWithRawPeer({ role: 'client' });
    const stream = await session.open();

    peer.frame(FRAME_TYPE.goAway, 0, 0, code);
    await session.closed;

    assert.equal(stream.destroyed, true);
    await assert.rejects(session.open(), { reason: 'session-closed' });
  });
}

type Send = (type: number, flags: number, id: number, length: number) => void;

const VIOLATIONS: { name: string; act: (send: Send) => void }[] = [
  { name: 'the SYN of a living stream', act: (send) => send(WINDOW, FLAG.syn, 1, 0) },
  { name: 'a SYN with an id of our side', act: (send) => send(WINDOW, FLAG.syn, 2, 0) },
  { name: 'a SYN with id 0', act: (send) => send(WINDOW, FLAG.syn, 0, 0) },
  {
    name: 'a second FIN',
    act: (send) => {
      send(WINDOW, FLAG.fin, 1, 0);
      send(WINDOW, FLAG.fin, 1, 0);
    },
  },
  { name: 'more data than the window', act: (send) => send(FRAME_TYPE.data, 0, 1, 262_145) },
  { name: 'a send window beyond 32 bits', act: (send) => send(WINDOW, 0, 1, 0xffff_ffff) },
  { name: 'an unknown type', act: (send) => send(4, 0, 1, 0) },
  { name: 'an unknown version', act: (send) => send(0x0100, 0, 1, 0) },
  {
    name: 'data behind a FIN',
    act: (send) => {
      send(WINDOW, FLAG.fin, 1, 0);
      send(FRAME_TYPE.data, 0, 1, 1);
    },
  },
];

for (const { name, act } of VIOLATIONS) {
  test(`${name} is answered with go away 1 and the end`, async () => {
    const { session, peer } = sessionWithRawPeer({ role: 'server' });
    peer.frame(WINDOW, FLAG.syn, 1, 0);
    const stream = await session.accept();
    await settle();
    peer.take();

    act((type, flags, id, length) => peer.frame(type, flags, id, length));
    await session.closed;
    await settle();

    assert.deepEqual(peer.take(), ['goAway 1']);
    assert.equal(peer.hasEnded, true);
    assert.ok(session.error instanceof Error);
    assert.equal(stream?.writable, name === 'a second FIN' || name === 'data behind a FIN');
  });
}

test('frames of unknown streams are ignored and their payload is discarded', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });

  peer.data(9, Buffer.alloc(500_000));
  peer.frame(WINDOW, FLAG.fin, 9, 0);
  peer.frame(WINDOW, FLAG.rst, 9, 0);
  peer.frame(FRAME_TYPE.ping, FLAG.syn, 0, 7);
  await settle();

  assert.deepEqual(peer.take(), ['ping:ACK 7']);
  assert.equal(session.isEnded, false);
});

test('close sends go away, resets new streams, and ends when the open ones are done', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server' });
  peer.frame(WINDOW, FLAG.syn, 1, 0);
  const stream = await session.accept();
  await settle();
  peer.take();

  const closed = session.close();
  peer.frame(WINDOW, FLAG.syn, 3, 0);
  await settle();
  assert.deepEqual(peer.take(), ['goAway 0', 'window:RST 3 +0']);
  await assert.rejects(session.open(), { reason: 'session-closed' });
  stream?.end('bye');
  peer.frame(WINDOW, FLAG.fin, 1, 0);
  stream?.resume();
  await closed;
  await settle();

  assert.deepEqual(peer.take(), ['data 1 bye', 'window:FIN 1 +0']);
  assert.equal(session.error, undefined);
  assert.equal(peer.hasEnded, true);
});

test('when the connection is lost, every waiting call fails', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client', acceptBacklog: 1 });
  const stream = await session.open();
  const waitingOpen = session.open();
  const waitingAccept = session.accept();
  const ping = session.ping();
  const failed = once(stream, 'error');

  peer.connection.destroy();

  await assert.rejects(waitingOpen, { reason: 'session-closed' });
  await assert.rejects(ping, { reason: 'session-closed' });
  assert.equal(await waitingAccept, undefined);
  assert.equal((await failed)[0].message, 'session shutdown');
  await session.closed;
});

test('a peer that accepts no bytes is disconnected', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client', connectionWriteTimeoutMs: 10 });
  peer.connection.pause();

  const stream = await session.open();
  stream.write(Buffer.alloc(200_000));
  await session.closed;

  assert.equal(session.error?.message, 'connection write timeout');
});

test('a peer that sends requests without reading is no longer read', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server', connectionWriteTimeoutMs: 1000 });
  peer.connection.pause();

  const pings = Buffer.alloc(12 * 100_000);
  for (let at = 0; at < pings.length; at += 12) pings.set([0, FRAME_TYPE.ping, 0, FLAG.syn], at);
  let wasTaken = false;
  peer.connection.write(pings.subarray(0, 600_000));
  peer.connection.write(pings.subarray(600_000), () => {
    wasTaken = true;
  });
  await settle();
  assert.equal(wasTaken, false);
  peer.connection.resume();
  await settle();

  assert.equal(wasTaken, true);
  assert.equal(peer.take().length, 100_000);
  session.destroy();
});

test('an error thrown by a listener of a stream ends the session, since its bytes are lost', async () => {
  const [connection] = duplexPair();
  const session = new YamuxSession(connection, { role: 'server' });
  const bytes = Buffer.concat([encodeHeader(FRAME_TYPE.data, FLAG.syn, 1, 1), Buffer.from('x')]);
  connection.emit('data', bytes.subarray(0, 12));
  const stream = await session.accept();
  stream?.on('data', () => {
    throw new Error('bug above');
  });
  await settle();

  assert.throws(() => connection.emit('data', bytes.subarray(12)), /bug above/);
  await session.closed;
});
