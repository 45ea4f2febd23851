import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawHttp2Server, RecordedStream, type SentFrame } from '#testkit/servers/raw-http2-server';
import { until } from '#testkit/until';
import type { CallStream } from '../grpc/client-session.ts';
import { ErrorCode } from './connection-error.ts';
import { Flag, FrameType, Http2Setting, uint32 } from './frame.ts';

/** A call that a test has started, with all of its data. */
interface StartedCall {
  readonly stream: CallStream;
  readonly events: RecordedStream;
}

const DONE = ['headers :status 200', 'end', 'close'];

function settings(...pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  return Buffer.concat(pairs.flatMap(([setting, value]) => [uint32(setting).subarray(2), uint32(value)]));
}

const limit = (streams: number): Buffer => settings([Http2Setting.MAX_CONCURRENT_STREAMS, streams]);
const answer = (streamId: number): SentFrame => ({
  type: FrameType.HEADERS,
  flags: Flag.END_HEADERS | Flag.END_STREAM,
  streamId,
  payload: Buffer.from([0x88]), // :status 200
});
const reset = (streamId: number, code: number): SentFrame => ({
  type: FrameType.RST_STREAM,
  streamId,
  payload: uint32(code),
});
const goAway = (lastId: number, code: number): SentFrame => ({
  type: FrameType.GOAWAY,
  payload: Buffer.concat([uint32(lastId), uint32(code)]),
});
const grow = (streamId: number, bytes: number): SentFrame => ({
  type: FrameType.WINDOW_UPDATE,
  streamId,
  payload: uint32(bytes),
});

/** Starts calls. */
function start(server: RawHttp2Server, count: number, body: Uint8Array = Buffer.alloc(1)): StartedCall[] {
  return Array.from({ length: count }, () => {
    const events = new RecordedStream();
    const stream = server.session.request({ path: '/a/B', pairs: [] }, events);
    stream.end([body]);
    return { stream, events };
  });
}

/** Waits until the client has processed what was sent, and the server has got its frames. */
async function synced(server: RawHttp2Server): Promise<void> {
  const before = server.received(FrameType.PING).length;
  server.send({ type: FrameType.PING, payload: Buffer.alloc(8) });
  await until(() => server.received(FrameType.PING).length > before);
}

/** The numbers of the streams that were opened, in this order. */
function opened(server: RawHttp2Server): number[] {
  return server.received(FrameType.HEADERS).map(({ streamId }) => streamId);
}

function sentBytes(server: RawHttp2Server): number {
  return server.received(FrameType.DATA).reduce((bytes, { payload }) => bytes + payload.length, 0);
}

test('calls wait for a server that allows no streams, and begin in their order', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(0));
  await synced(server);
  const calls = start(server, 4);
  await synced(server);
  assert.deepEqual(opened(server), []);

  server.sendSettings(limit(1));
  await synced(server);
  assert.deepEqual(opened(server), [1]);
  server.send(answer(1));
  await synced(server);
  assert.deepEqual(opened(server), [1, 3]);

  server.sendSettings(limit(100));
  await synced(server);
  server.send(...[7, 5, 3].map(answer));
  await until(() => calls.every(({ events }) => events.events.length === DONE.length));

  assert.deepEqual(opened(server), [1, 3, 5, 7]);
  assert.deepEqual(
    calls.map(({ events }) => events.events),
    [DONE, DONE, DONE, DONE],
  );
});

test('a server that takes its limit back keeps the streams that are open', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(2));
  await synced(server);
  const calls = start(server, 4);
  server.sendSettings(limit(0));
  await synced(server);

  server.send(answer(1), answer(3));
  await synced(server);
  assert.deepEqual(opened(server), [1, 3]);
  assert.deepEqual(
    calls.map(({ events }) => events.events),
    [DONE, DONE, [], []],
  );

  server.sendSettings(limit(1));
  await synced(server);
  server.send(answer(5));
  await synced(server);
  server.send(answer(7));
  await until(() => calls.every(({ events }) => events.events.length === DONE.length));
  assert.deepEqual(opened(server), [1, 3, 5, 7]);
});

test('calls that wait leave without a trace at the server', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(1));
  await synced(server);
  const calls = start(server, 4);

  for (const { stream } of calls.slice(1, 3)) stream.reset(ErrorCode.CANCEL);
  server.send(answer(1));
  await synced(server);
  server.send(answer(3));
  await until(() => calls[3]?.events.events.length === DONE.length);

  assert.deepEqual(opened(server), [1, 3]);
  assert.deepEqual(server.received(FrameType.RST_STREAM), []);
  assert.equal(server.session.isDestroyed, false);
});

test('GOAWAY refuses the calls that wait, and none of them takes a free place', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(2));
  await synced(server);
  const calls = start(server, 5);
  await synced(server);

  // The server has seen the first stream only, and ends it in the same moment.
  server.send(goAway(1, ErrorCode.NO_ERROR), answer(1));
  await server.session.closed;

  assert.deepEqual(opened(server), [1, 3]);
  assert.deepEqual(
    calls.map(({ events }) => events.events),
    [DONE, ['close'], ['close'], ['close'], ['close']],
  );
  assert.deepEqual(
    calls.map(({ stream }) => stream.resetCode),
    [ErrorCode.NO_ERROR, ...Array.from({ length: 4 }, () => ErrorCode.REFUSED_STREAM)],
  );
});

test('GOAWAY twice, the first one without a number, refuses each call once', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(2));
  await synced(server);
  const calls = start(server, 3);
  await synced(server);

  // As a server begins to drain: it does not know yet which streams are on their way.
  server.send(goAway(0x7fff_ffff, ErrorCode.NO_ERROR));
  await synced(server);
  assert.deepEqual(
    calls.map(({ events }) => events.events),
    [[], [], ['close']],
  );
  server.send(goAway(1, ErrorCode.NO_ERROR));
  await synced(server);
  assert.deepEqual(
    calls.map(({ events }) => events.events),
    [[], ['close'], ['close']],
  );
  server.send(answer(1));
  await server.session.closed;

  assert.deepEqual(calls[0]?.events.events, DONE);
  assert.equal(server.session.error, undefined);
});

test('a server that resets every stream at once gets all calls that wait', async () => {
  using server = new RawHttp2Server();
  server.sendSettings(limit(10));
  await synced(server);
  const calls = start(server, 300);

  for (let at = 0; at < calls.length; at++) {
    await until(() => opened(server).length > at);
    server.send(reset(2 * at + 1, ErrorCode.REFUSED_STREAM));
  }
  // These resets come late or again: their streams have ended.
  server.send(...calls.map((_, at) => reset(2 * at + 1, ErrorCode.CANCEL)));
  await synced(server);

  assert.ok(calls.every(({ events }) => events.events.join() === 'close'));
  assert.ok(calls.every(({ stream }) => stream.resetCode === ErrorCode.REFUSED_STREAM));
  assert.equal(server.session.isDestroyed, false);
});

for (const [name, streamBytes] of [
  ['a stream', 0],
  ['the connection', 100_000],
] as const) {
  test(`data passes a window of ${name} that grows by single bytes`, async () => {
    using server = new RawHttp2Server();
    server.sendSettings(settings([Http2Setting.INITIAL_WINDOW_SIZE, streamBytes]));
    await synced(server);
    const filled = streamBytes === 0 ? 0 : 65_535;
    const body = Buffer.alloc(filled + 300, 'x');
    const [call] = start(server, 1, body);
    await synced(server);
    assert.equal(sentBytes(server), filled);

    for (let more = 1; more <= 300; more++) {
      server.send(grow(streamBytes === 0 ? 1 : 0, 1));
      if (more > 2 && more % 100 !== 0) continue;
      await synced(server);
      assert.equal(sentBytes(server), filled + more);
    }

    const ends = server.received(FrameType.DATA).map(({ flags }) => flags);
    assert.deepEqual([ends.indexOf(Flag.END_STREAM), ends.length - 1], [ends.length - 1, ends.length - 1]);
    server.send(answer(1));
    await until(() => call?.events.events.at(-1) === 'close');
    assert.deepEqual(call?.events.events, DONE);
  });
}

test('calls to a server that never reads end, and the rest is sent once it does', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  await synced(server);
  server.socket.pause();
  const [large] = start(server, 1, Buffer.alloc(60_000));
  const calls = start(server, 100);

  for (const { stream } of calls) stream.reset(ErrorCode.CANCEL);
  const pings = Array.from({ length: 11 }, () => server.session.ping());
  await assert.rejects(pings.at(-1) ?? Promise.resolve(), /has not responded to earlier pings/);
  assert.ok(calls.every(({ events }) => events.events.join() === 'close'));

  for (const ping of pings) ping.catch(() => {}); // the end of the test closes the connection
  server.socket.resume();
  await until(() => sentBytes(server) >= 60_000);
  server.send(answer(1));
  await until(() => large?.events.events.at(-1) === 'close');
  assert.deepEqual(large?.events.events, DONE);
  assert.equal(server.received(FrameType.RST_STREAM).length, opened(server).length - 1);
});

test('a connection to a server that never reads can be ended', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  await synced(server);
  server.socket.pause();
  const calls = start(server, 10, Buffer.alloc(6000));

  server.session.destroy();
  await server.session.closed;

  assert.ok(calls.every(({ events }) => events.events.join() === 'close'));
});
