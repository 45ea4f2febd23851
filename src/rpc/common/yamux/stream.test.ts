import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { sessionPair, sessionWithRawPeer, settle } from '#testkit/clients/raw-yamux-peer';
import { until } from '#testkit/until';
import { FLAG, FRAME_TYPE } from './frame.ts';
import type { YamuxOptions } from './settings.ts';
import type { YamuxStream } from './stream.ts';

const KIB = 1024;
const WINDOW = FRAME_TYPE.windowUpdate;

async function acceptedStream(options: Partial<YamuxOptions> = {}) {
  const { session, peer } = sessionWithRawPeer({ ...options, role: 'server' });
  peer.frame(WINDOW, FLAG.syn, 1, 0);
  const stream = await session.accept();
  assert.ok(stream);
  await settle();
  peer.take();
  return { session, peer, stream };
}

test('a sender stops at the window and continues with each grant', async () => {
  const { peer, stream } = await acceptedStream();
  let isDone = false;

  stream.write(Buffer.alloc(300 * KIB), () => {
    isDone = true;
  });
  await settle();
  const sent = peer.frames.reduce((sum, frame) => sum + frame.payload.length, 0);
  assert.equal(sent, 256 * KIB);
  assert.equal(isDone, false);
  peer.take();
  peer.frame(WINDOW, 0, 1, 10);
  await settle();
  assert.deepEqual(
    peer.frames.map((frame) => frame.length),
    [10],
  );
  peer.frame(WINDOW, 0, 1, 256 * KIB);
  await settle();

  assert.equal(isDone, true);
});

test('many small writes in one tick share a frame', async () => {
  const { peer, stream } = await acceptedStream();

  stream.write('first');
  for (let count = 0; count < 100; count += 1) stream.write('x');
  await settle();

  assert.deepEqual(peer.take(), ['data 1 first', 'data 1 (100)']);
});

test('the window is granted again when half of it was read, not before', async () => {
  const { peer, stream } = await acceptedStream();

  for (let count = 0; count < 4; count += 1) peer.data(1, Buffer.alloc(64 * KIB));
  await settle();
  assert.deepEqual(peer.take(), []);
  stream.read(64 * KIB);
  await settle();
  assert.deepEqual(peer.take(), []);
  stream.read(64 * KIB);
  await settle();

  assert.deepEqual(peer.take(), ['window 1 +131072']);
});

test('a stream that waits to be accepted has only the initial window', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'server', maxStreamWindowBytes: 1024 * KIB });

  peer.frame(WINDOW, FLAG.syn, 1, 0);
  for (let count = 0; count < 4; count += 1) peer.data(1, Buffer.alloc(64 * KIB));
  await settle();
  assert.deepEqual(peer.take(), []);
  const stream = await session.accept();
  await settle();

  assert.deepEqual(peer.take(), ['window:ACK 1 +786432']);
  stream?.destroy();
});

test('one FIN is sent, after the last byte, however long the window was closed', async () => {
  const { peer, stream } = await acceptedStream();

  stream.write(Buffer.alloc(256 * KIB));
  stream.end('tail');
  await settle();
  assert.equal(
    peer.take().some((frame) => frame.includes('FIN')),
    false,
  );
  peer.frame(WINDOW, 0, 1, 1000);
  await settle();
  stream.end();
  stream.resume();
  peer.frame(WINDOW, FLAG.fin, 1, 0);
  await settle();

  assert.deepEqual(peer.take(), ['data 1 tail', 'window:FIN 1 +0']);
});

test('reading continues after our own end', async () => {
  const { session, peer, stream } = await acceptedStream();

  stream.end('question');
  peer.data(1, 'answer');
  peer.frame(WINDOW, FLAG.fin, 1, 0);

  assert.equal(await text(stream), 'answer');
  assert.equal(session.streamCount, 0);
});

test("the peer's FIN may come with its last payload", async () => {
  const { peer, stream } = await acceptedStream();

  peer.data(1, 'all of it', FLAG.fin);

  assert.equal(await text(stream), 'all of it');
});

test('data received before a FIN is read even if the connection has closed since', async () => {
  const { session, peer, stream } = await acceptedStream();

  peer.data(1, Buffer.alloc(200 * KIB), FLAG.fin);
  await settle();
  peer.connection.destroy();
  await session.closed;

  assert.equal((await buffer(stream)).length, 200 * KIB);
});

test('without a FIN the end of the connection is an error for the reader', async () => {
  const { peer, stream } = await acceptedStream();

  peer.data(1, 'half');
  await settle();
  peer.connection.end();

  await assert.rejects(text(stream), { reason: 'session-closed' });
});

for (const { name, act } of [
  {
    name: 'bytes that wait for the window',
    act: (stream: YamuxStream) => stream.write(Buffer.alloc(300 * KIB)),
  },
  {
    name: 'bytes that wait behind others',
    act: (stream: YamuxStream) =>
      [Buffer.alloc(64 * KIB), Buffer.alloc(1)].map((chunk) => stream.write(chunk)),
  },
]) {
  test(`destroy with ${name} resets the stream`, async () => {
    const { session, peer, stream } = await acceptedStream();

    act(stream);
    stream.destroy();
    await settle();

    assert.equal(peer.take().at(-1), 'window:RST 1 +0');
    assert.equal(session.streamCount, 0);
  });
}

test('destroy with an error resets the stream', async () => {
  const { peer, stream } = await acceptedStream();

  stream.destroy(new Error('gave up'));
  await settle();

  assert.deepEqual(peer.take(), ['window:RST 1 +0']);
});

test('a stream that was read to the end is closed, one whose reader leaves early is reset', async () => {
  const complete = await acceptedStream();
  const partial = await acceptedStream();

  complete.peer.data(1, 'all', FLAG.fin);
  partial.peer.data(1, 'a bit');
  for await (const chunk of complete.stream) assert.equal(String(chunk), 'all');
  complete.stream.destroy(); // Node 26 does that itself
  for await (const _chunk of partial.stream) break;
  await settle();

  assert.deepEqual(complete.peer.take(), ['window:FIN 1 +0']);
  assert.deepEqual(partial.peer.take(), ['window:RST 1 +0']);
});

test('destroy without an error sends a FIN after everything that was written', async () => {
  const { session, peer, stream } = await acceptedStream();

  stream.write('something');
  stream.destroy();
  peer.data(1, 'too late');
  await settle();
  assert.deepEqual(peer.take(), ['data 1 something', 'window:FIN 1 +0']);
  peer.frame(WINDOW, FLAG.fin, 1, 0);
  await settle();

  assert.equal(session.streamCount, 0);
  assert.equal(session.isEnded, false);
});

test('destroy after the end discards incoming data, so that the peer keeps our last bytes', async () => {
  const { session, peer, stream } = await acceptedStream();

  stream.end('last bytes');
  await once(stream, 'finish');
  stream.destroy();
  peer.data(1, Buffer.alloc(256 * KIB));
  await settle();
  assert.deepEqual(peer.take(), ['data 1 last bytes', 'window:FIN 1 +0']);
  assert.equal(session.streamCount, 1);
  peer.frame(WINDOW, FLAG.fin, 1, 0);
  await settle();

  assert.equal(session.streamCount, 0);
  assert.equal(session.isEnded, false);
});

for (const isDestroyed of [false, true]) {
  test(`without the peer's FIN a stream is reset (${isDestroyed ? 'destroyed' : 'read'})`, async () => {
    const { session, peer, stream } = await acceptedStream({ streamCloseTimeoutMs: 10 });

    stream.end();
    if (isDestroyed) stream.destroy();
    await until(() => session.streamCount === 0);
    await settle();

    assert.equal(stream.destroyed, true);
    assert.deepEqual(peer.take(), ['window:FIN 1 +0', 'window:RST 1 +0']);
  });
}

test('a RST fails the reader and the writer', async () => {
  const { session, peer, stream } = await acceptedStream();

  const read = text(stream);
  const written = new Promise((resolve) => stream.write(Buffer.alloc(300 * KIB), resolve));
  peer.frame(WINDOW, FLAG.rst, 1, 0);

  await assert.rejects(read, { reason: 'stream-reset', message: 'connection reset' });
  assert.match(String(await written), /connection reset/);
  assert.equal(session.streamCount, 0);
});

test('a RST of a stream without listeners does no harm', async () => {
  const { session, peer, stream } = await acceptedStream();

  peer.frame(WINDOW, FLAG.rst, 1, 0);
  await settle();

  assert.equal(stream.destroyed, true);
  assert.equal(session.isEnded, false);
});

test('a write completes when the connection has accepted it', async () => {
  const { peer, stream } = await acceptedStream();
  peer.connection.pause();
  const done: number[] = [];

  for (let count = 0; count < 4; count += 1) stream.write(Buffer.alloc(32 * KIB), () => done.push(count));
  await settle();
  assert.ok(
    done.length < 4,
    `${done.length} of 4 writes were reported done while the connection took nothing`,
  );
  peer.connection.resume();
  await settle();

  assert.deepEqual(done, [0, 1, 2, 3]);
});

test('payload is passed to the connection uncopied', async () => {
  const { client, server } = sessionPair();
  const [near, far] = [await client.open(), await server.accept()];
  const sent = Buffer.alloc(50 * KIB, 'x');

  const received = new Promise<Buffer>((resolve) => far?.once('data', resolve));
  near.write(sent);

  assert.equal((await received).buffer, sent.buffer);
});

test('a slow reader stops its sender but not other streams', async () => {
  const { client, server } = sessionPair();
  const slow = await client.open();
  const slowFar = await server.accept();
  const quick = await client.open();
  const quickFar = await server.accept();
  assert.ok(slowFar && quickFar);

  let slowWrites = 0;
  while (slow.writableLength < 512 * KIB) slow.write(Buffer.alloc(64 * KIB), () => slowWrites++);
  await settle();
  quick.end(Buffer.alloc(3 * 1024 * KIB));
  const read = (await buffer(quickFar)).length;

  assert.equal(read, 3 * 1024 * KIB);
  assert.equal(slowWrites, 1, 'the first write fits the window, the rest waits');
  assert.ok(slowFar.readableLength <= 256 * KIB);
  slow.destroy();
});

test('streams of one connection take turns', async () => {
  const { session, peer } = sessionWithRawPeer({ role: 'client' });
  const streams = await Promise.all([session.open(), session.open(), session.open()]);
  await settle();
  peer.take();

  for (const stream of streams) stream.write(Buffer.alloc(200 * KIB));
  await settle();

  const order = peer.frames.map((frame) => frame.id);
  assert.deepEqual(new Set(order.slice(2, 6)), new Set([1, 3, 5]), `the frames came as ${order}`);
});

test('a pipeline through two sessions carries 20 MiB unchanged and ends', async () => {
  const { client, server } = sessionPair({}, { maxStreamWindowBytes: 16 * 1024 * KIB });
  const near = await client.open();
  const far = await server.accept();
  assert.ok(far);
  const block = Buffer.from(Array.from({ length: 65_537 }, (_, index) => index % 251));

  const echoed = pipeline(far, far);
  const back = buffer(near);
  await pipeline(function* () {
    for (let count = 0; count < 320; count += 1) yield block;
  }, near);

  await echoed;
  assert.ok((await back).equals(Buffer.concat(Array.from({ length: 320 }, () => block))));
  assert.equal(client.streamCount + server.streamCount, 0);
});
