import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawHttp2Server, RecordedStream, type SentFrame } from '#testkit/servers/raw-http2-server';
import { until } from '#testkit/until';
import { ErrorCode } from './connection-error.ts';
import { Flag, FrameType, Http2Setting, uint32 } from './frame.ts';

const SETTINGS: SentFrame = { type: FrameType.SETTINGS };
/** `:status: 200` and `grpc-status: 0`, the latter without an index. */
const STATUS = Buffer.from([0x88]);
const TRAILERS = Buffer.concat([Buffer.from([0, 11]), Buffer.from('grpc-status'), Buffer.from([1, 0x30])]);
const MEBIBYTE = 1 << 20;

function setting(id: number, value: number): Buffer {
  return Buffer.concat([uint32(id).subarray(2), uint32(value)]);
}

const goAway = (lastId: number, code: number): SentFrame => ({
  type: FrameType.GOAWAY,
  payload: Buffer.concat([uint32(lastId), uint32(code)]),
});
const headers = (payload: Buffer, flags: number = Flag.END_HEADERS, streamId = 1): SentFrame => ({
  type: FrameType.HEADERS,
  flags,
  streamId,
  payload,
});
const data = (payload: Buffer, flags = 0, streamId = 1): SentFrame => ({
  type: FrameType.DATA,
  flags,
  streamId,
  payload,
});

const VIOLATIONS: readonly {
  readonly name: string;
  readonly frames: readonly SentFrame[];
  readonly code: keyof typeof ErrorCode;
}[] = [
  {
    name: 'no settings first',
    frames: [{ type: FrameType.PING, payload: Buffer.alloc(8) }],
    code: 'PROTOCOL_ERROR',
  },
  { name: 'an acknowledgement first', frames: [{ ...SETTINGS, flags: Flag.ACK }], code: 'PROTOCOL_ERROR' },
  {
    name: 'settings that are cut off',
    frames: [{ ...SETTINGS, payload: Buffer.alloc(5) }],
    code: 'FRAME_SIZE_ERROR',
  },
  { name: 'settings of a stream', frames: [{ ...SETTINGS, streamId: 1 }], code: 'PROTOCOL_ERROR' },
  {
    name: 'an acknowledgement with settings',
    frames: [SETTINGS, { ...SETTINGS, flags: Flag.ACK, payload: Buffer.alloc(6) }],
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'a window above the limit',
    frames: [{ ...SETTINGS, payload: setting(Http2Setting.INITIAL_WINDOW_SIZE, 0x8000_0000) }],
    code: 'FLOW_CONTROL_ERROR',
  },
  {
    name: 'enabled pushes',
    frames: [{ ...SETTINGS, payload: setting(Http2Setting.ENABLE_PUSH, 1) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'frames below the least limit',
    frames: [{ ...SETTINGS, payload: setting(Http2Setting.MAX_FRAME_SIZE, 100) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a frame above the limit',
    frames: [SETTINGS, { type: FrameType.DATA, streamId: 1, length: 16_385 }],
    code: 'FRAME_SIZE_ERROR',
  },
  { name: 'headers of no stream', frames: [SETTINGS, headers(STATUS, 4, 0)], code: 'PROTOCOL_ERROR' },
  { name: 'headers of a stream to come', frames: [SETTINGS, headers(STATUS, 4, 3)], code: 'PROTOCOL_ERROR' },
  { name: 'headers of a pushed stream', frames: [SETTINGS, headers(STATUS, 4, 2)], code: 'PROTOCOL_ERROR' },
  { name: 'data of a stream to come', frames: [SETTINGS, data(STATUS, 0, 5)], code: 'PROTOCOL_ERROR' },
  {
    name: 'a push',
    frames: [SETTINGS, { type: FrameType.PUSH_PROMISE, streamId: 1, payload: Buffer.alloc(4) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a continuation of nothing',
    frames: [SETTINGS, { type: FrameType.CONTINUATION, streamId: 1, flags: Flag.END_HEADERS }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'another frame inside headers',
    frames: [SETTINGS, headers(STATUS, 0), { type: FrameType.PING, payload: Buffer.alloc(8) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'headers continued on another stream',
    frames: [
      SETTINGS,
      headers(STATUS, 0),
      { type: FrameType.CONTINUATION, streamId: 3, flags: Flag.END_HEADERS },
    ],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'endless empty continuations',
    frames: [
      SETTINGS,
      headers(STATUS, 0),
      ...Array.from({ length: 9 }, () => ({ type: FrameType.CONTINUATION, streamId: 1 })),
    ],
    code: 'ENHANCE_YOUR_CALM',
  },
  {
    name: 'headers above the limit',
    frames: [
      SETTINGS,
      headers(Buffer.alloc(16_384), 0),
      ...Array.from({ length: 4 }, () => ({
        type: FrameType.CONTINUATION,
        streamId: 1,
        payload: Buffer.alloc(16_384),
      })),
    ],
    code: 'ENHANCE_YOUR_CALM',
  },
  {
    name: 'padding that is longer than its frame',
    frames: [SETTINGS, headers(Buffer.from([1]), Flag.END_HEADERS | Flag.PADDED)],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a priority that is cut off',
    frames: [SETTINGS, headers(Buffer.alloc(4), Flag.END_HEADERS | Flag.PRIORITY)],
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'a reference to a table that is not kept',
    frames: [SETTINGS, headers(Buffer.from([0x80 | 62]))],
    code: 'COMPRESSION_ERROR',
  },
  {
    name: 'a table of another size',
    frames: [SETTINGS, headers(Buffer.from([0x3f, 0xe2, 0x1f, 0x88]))],
    code: 'COMPRESSION_ERROR',
  },
  {
    name: 'a reset of the wrong size',
    frames: [SETTINGS, { type: FrameType.RST_STREAM, streamId: 1, payload: Buffer.alloc(3) }],
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'a ping of the wrong size',
    frames: [SETTINGS, { type: FrameType.PING, payload: Buffer.alloc(7) }],
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'a response to no ping',
    frames: [SETTINGS, { type: FrameType.PING, flags: Flag.ACK, payload: Buffer.alloc(8) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a window that is changed by nothing',
    frames: [SETTINGS, { type: FrameType.WINDOW_UPDATE, payload: uint32(0) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a window of the connection that overflows',
    frames: [SETTINGS, { type: FrameType.WINDOW_UPDATE, payload: uint32(0x7fff_ffff) }],
    code: 'FLOW_CONTROL_ERROR',
  },
  {
    name: 'a GOAWAY that is cut off',
    frames: [SETTINGS, { type: FrameType.GOAWAY, payload: Buffer.alloc(7) }],
    code: 'FRAME_SIZE_ERROR',
  },
  {
    name: 'more data than the window of a stream',
    frames: [
      SETTINGS,
      headers(STATUS),
      ...Array.from({ length: MEBIBYTE / 16_384 + 1 }, () => data(Buffer.alloc(16_384))),
    ],
    code: 'FLOW_CONTROL_ERROR',
  },
];

for (const { name, frames, code } of VIOLATIONS) {
  test(`a server that sends ${name} loses the connection`, async () => {
    using server = new RawHttp2Server();
    const events = new RecordedStream();
    const stream = server.session.request({ path: '/a/B', pairs: [] }, events);
    stream.end([]);
    stream.pause();

    server.send(...frames);

    assert.equal(await server.goAwayCode(), ErrorCode[code]);
    assert.equal(server.session.isDestroyed, true);
    assert.notEqual(server.session.error, undefined);
    assert.equal(events.events.at(-1), 'close');
    await server.session.closed;
  });
}

/** Frames that end one stream only, with the code that the server receives. */
const STREAM_ERRORS: readonly {
  readonly name: string;
  readonly frames: readonly SentFrame[];
  readonly code: keyof typeof ErrorCode;
}[] = [
  { name: 'data before headers', frames: [data(STATUS)], code: 'PROTOCOL_ERROR' },
  { name: 'no status', frames: [headers(TRAILERS)], code: 'PROTOCOL_ERROR' },
  {
    name: 'a status that is no number',
    frames: [headers(Buffer.concat([Buffer.from([8, 3]), Buffer.from('2x0')]))],
    code: 'PROTOCOL_ERROR',
  },
  { name: 'two statuses', frames: [headers(Buffer.from([0x88, 0x88]))], code: 'PROTOCOL_ERROR' },
  {
    name: 'a name in upper case',
    frames: [headers(Buffer.concat([STATUS, Buffer.from([0, 1]), Buffer.from('A'), Buffer.from([0])]))],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a value with a line feed',
    frames: [headers(Buffer.concat([STATUS, Buffer.from([0, 1]), Buffer.from('a'), Buffer.from([1, 10])]))],
    code: 'PROTOCOL_ERROR',
  },
  { name: 'headers twice', frames: [headers(STATUS), headers(STATUS)], code: 'PROTOCOL_ERROR' },
  { name: 'trailers without an end', frames: [headers(STATUS), headers(TRAILERS)], code: 'PROTOCOL_ERROR' },
  {
    name: 'an interim response as the last one',
    frames: [
      headers(Buffer.concat([Buffer.from([8, 3]), Buffer.from('100')]), Flag.END_HEADERS | Flag.END_STREAM),
    ],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'more headers than are allowed',
    frames: [headers(Buffer.concat([STATUS, Buffer.alloc(1100, 0x80 | 32)]))],
    code: 'ENHANCE_YOUR_CALM',
  },
  {
    name: 'a window that is changed by nothing',
    frames: [{ type: FrameType.WINDOW_UPDATE, streamId: 1, payload: uint32(0) }],
    code: 'PROTOCOL_ERROR',
  },
  {
    name: 'a window that overflows',
    frames: [{ type: FrameType.WINDOW_UPDATE, streamId: 1, payload: uint32(0x7fff_ffff) }],
    code: 'FLOW_CONTROL_ERROR',
  },
];

for (const { name, frames, code } of STREAM_ERRORS) {
  test(`a server that sends ${name} ends the stream, and not the connection`, async () => {
    using server = new RawHttp2Server();
    const [wrong, right] = [new RecordedStream(), new RecordedStream()];
    server.session.request({ path: '/a/B', pairs: [] }, wrong).end([]);
    server.session.request({ path: '/a/B', pairs: [] }, right).end([]);

    server.send(SETTINGS, ...frames, headers(STATUS, Flag.END_HEADERS | Flag.END_STREAM, 3));
    await until(() => right.events.includes('close'));

    await until(() => server.received(FrameType.RST_STREAM).length > 0);
    const reset = server.received(FrameType.RST_STREAM)[0];
    assert.deepEqual([reset?.streamId, reset?.payload.readUInt32BE()], [1, ErrorCode[code]]);
    assert.equal(wrong.events.at(-1), 'close');
    assert.deepEqual(right.events, ['headers :status 200', 'end', 'close']);
    assert.equal(server.session.isDestroyed, false);
  });
}

test('frames for a stream that was reset are ignored', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  const events = new RecordedStream();
  const stream = server.session.request({ path: '/a/B', pairs: [] }, events);
  stream.reset(ErrorCode.CANCEL);
  await until(() => server.received(FrameType.RST_STREAM).length > 0);

  server.send(
    headers(Buffer.from([0x80 | 62])),
    data(Buffer.alloc(1000)),
    { type: FrameType.WINDOW_UPDATE, streamId: 1, payload: uint32(5) },
    { type: FrameType.RST_STREAM, streamId: 1, payload: uint32(2) },
    { type: 99, streamId: 1, payload: Buffer.alloc(3) },
  );

  assert.equal(typeof (await answered(server)), 'number');
  assert.deepEqual(events.events, ['close']);
  assert.equal(stream.resetCode, ErrorCode.CANCEL);
});

/** Waits until the client has read everything. */
async function answered(server: RawHttp2Server): Promise<number> {
  const before = server.received(FrameType.PING).length;
  server.send({ type: FrameType.PING, payload: Buffer.from('unlikely') });
  await until(() => server.received(FrameType.PING).length > before);
  return before;
}

test('data for a stream that was reset does not fill the window of the connection', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  server.session.request({ path: '/a/B', pairs: [] }, new RecordedStream()).reset(ErrorCode.CANCEL);
  await until(() => server.received(FrameType.RST_STREAM).length > 0);

  for (let mebibytes = 0; mebibytes < 20; mebibytes++) {
    server.send(...Array.from({ length: 64 }, () => data(Buffer.alloc(16_384))));
    await answered(server);
  }

  assert.equal(server.session.isDestroyed, false);
});

test('a request whose response has come is reset, if it has not ended', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  server.session.request({ path: '/a/B', pairs: [] }, new RecordedStream());

  server.send(headers(STATUS, Flag.END_HEADERS | Flag.END_STREAM));
  await until(() => server.received(FrameType.RST_STREAM).length > 0);

  assert.equal(server.received(FrameType.RST_STREAM)[0]?.payload.readUInt32BE(), ErrorCode.NO_ERROR);
});

test('GOAWAY refuses the streams that the server has not seen, and others go on', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  const [seen, unseen] = [new RecordedStream(), new RecordedStream()];
  server.session.request({ path: '/a/B', pairs: [] }, seen).end([]);
  const refused = server.session.request({ path: '/a/B', pairs: [] }, unseen);
  refused.end([]);

  server.send(goAway(1, 0));
  await until(() => unseen.events.length > 0);
  assert.deepEqual([unseen.events, refused.resetCode], [['close'], ErrorCode.REFUSED_STREAM]);
  assert.deepEqual([server.session.isClosing, server.session.isDestroyed], [true, false]);
  assert.throws(() => server.session.request({ path: '/a/B', pairs: [] }, new RecordedStream()), {
    code: 'UNAVAILABLE',
  });

  server.send(headers(STATUS, Flag.END_HEADERS | Flag.END_STREAM));
  await server.session.closed;
  assert.deepEqual(seen.events, ['headers :status 200', 'end', 'close']);
  assert.equal(server.session.error, undefined);
});

test('GOAWAY with an error ends all streams', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  const events = new RecordedStream();
  server.session.request({ path: '/a/B', pairs: [] }, events).end([]);

  server.send(goAway(1, ErrorCode.ENHANCE_YOUR_CALM));
  await server.session.closed;

  assert.deepEqual(events.events, ['close']);
  assert.equal(server.session.error?.message, 'Session closed with error code 11');
});

test('a server that resets every stream ends the calls, and not the connection', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  const streams = Array.from({ length: 1000 }, () => new RecordedStream());
  for (const events of streams) server.session.request({ path: '/a/B', pairs: [] }, events).end([]);
  await until(() => server.received(FrameType.HEADERS).length === 1000);

  server.send(
    ...streams.map((_, at) => ({ type: FrameType.RST_STREAM, streamId: 2 * at + 1, payload: uint32(7) })),
  );
  await until(() => streams.every(({ events }) => events.length === 1));
  await answered(server);

  assert.equal(server.session.isDestroyed, false);
});

test('a server that sends pings and reads no responses loses the connection', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  await answered(server);
  server.socket.pause();

  const pings = frames(2000);
  await until(() => {
    if (!server.session.isDestroyed) server.socket.write(pings);
    return server.session.isDestroyed;
  });

  assert.match(server.session.error?.message ?? '', /does not read what it requests/);
});

function frames(count: number): Buffer {
  const ping = Buffer.from([0, 0, 8, FrameType.PING, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat(Array.from({ length: count }, () => ping));
}
