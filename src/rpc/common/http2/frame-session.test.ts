import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fc } from '#testkit/fast-check';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { nodeServer } from '#testkit/servers/node-http2-server';
import { frameBytes, RawHttp2Server, RecordedStream, TEST_HEADERS } from '#testkit/servers/raw-http2-server';
import { until } from '#testkit/until';
import { ErrorCode } from './connection-error.ts';
import { DEFAULT_WINDOW_BYTES, Flag, FrameType, Http2Setting, uint32 } from './frame.ts';
import { FrameSession } from './frame-session.ts';

const MEBIBYTE = 1 << 20;
const ONLY_STATUS = { endStream: true } as const;

/** Makes a request, and waits for its end. */
async function finished(
  session: FrameSession,
  { pairs = [], body = [] }: { pairs?: string[]; body?: Uint8Array[] } = {},
): Promise<RecordedStream> {
  const events = new RecordedStream();
  session.request({ path: '/a.B/C', pairs }, events).end(body);
  await until(() => events.events.includes('close'));
  return events;
}

const NAMES = fc.constantFrom(
  'a',
  'x-long-name-of-a-header',
  'authorization',
  'grpc-timeout',
  'user-agent',
  'x-bin',
);
/** Values that HTTP allows, without spaces at its ends, which are not a part of it. */
const VALUES = fc
  .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), {
    maxLength: 300,
  })
  .map((codes) => String.fromCharCode(...codes).trim());
const PAIRS = fc.array(fc.tuple(NAMES, VALUES), { maxLength: 30 }).map((pairs) => pairs.flat());

test('headers arrive at node:http2 as they were sent, and its trailers here', async () => {
  let received: string[] = [];
  await using server = await nodeServer(
    (stream, rawHeaders) => {
      received = rawHeaders;
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => {
        const trailers: Record<string, string[]> = {};
        for (let at = 0; at < rawHeaders.length; at += 2) {
          const name = rawHeaders[at] ?? '';
          if (!name.startsWith(':') && name !== 'te')
            trailers[name] = [...(trailers[name] ?? []), rawHeaders[at + 1] ?? ''];
        }
        stream.sendTrailers(trailers);
      });
      stream.end();
    },
    { strictSingleValueFields: false },
  );

  await fc.assert(
    fc.asyncProperty(PAIRS, async (pairs) => {
      const events = await finished(server.session, { pairs });

      assert.deepEqual(received, [...TEST_HEADERS.before, '/a.B/C', ...TEST_HEADERS.after, ...pairs]);
      const trailers = events.events.find((event) => event.startsWith('trailers '));
      const sent = [...TEST_HEADERS.after.slice(0, 2), ...pairs];
      assert.deepEqual(sorted((trailers ?? '').slice('trailers '.length)), sorted(sent.join(' ')));
    }),
    { numRuns: 200 },
  );
});

function sorted(text: string): string[] {
  return [...text].toSorted();
}

test('headers above the size of a frame arrive', async () => {
  let length = 0;
  await using server = await nodeServer(
    (stream, rawHeaders) => {
      length = rawHeaders.join('').length;
      stream.respond({ ':status': 200 }, ONLY_STATUS);
    },
    { settings: { maxHeaderListSize: 100_000 } },
  );
  await server.session.ping(); // the server's settings are here
  const pairs = Array.from({ length: 60 }, (_, at) => [`x-${at}`, 'v'.repeat(1000)]).flat();

  const events = await finished(server.session, { pairs });

  assert.ok(length > 60_000);
  assert.match(events.events[0] ?? '', /^headers :status 200/);
});

test('headers above the limit of the server are refused here', async () => {
  await using server = await nodeServer((stream) => stream.respond({ ':status': 200 }, ONLY_STATUS), {
    settings: { maxHeaderListSize: 20_000 },
  });
  await server.session.ping();

  assert.throws(
    () => server.session.request({ path: '/a', pairs: ['x', 'v'.repeat(20_000)] }, new RecordedStream()),
    { code: 'INTERNAL', message: /violates the maximum size \(20000 bytes\) set by server/ },
  );
  assert.match((await finished(server.session)).events[0] ?? '', /^headers :status 200/);
});

test('data of any size passes both windows in both directions', async () => {
  await using server = await nodeServer((stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const sizes = [0, 1, 4096, 4097, 16_384, 16_385, DEFAULT_WINDOW_BYTES + 1, 5 * MEBIBYTE];

  const all = await Promise.all(
    sizes.map(async (size) => {
      const body = Buffer.alloc(size, String(size));
      const { data, events } = await finished(server.session, {
        body: [body.subarray(0, 7), body.subarray(7)],
      });
      return data.equals(body) && events.at(-2) === 'end';
    }),
  );

  assert.deepEqual(
    all,
    sizes.map(() => true),
  );
});

test('a stream that is paused stops its sender, and no other', async () => {
  let sent = 0;
  await using server = await nodeServer((stream, rawHeaders) => {
    stream.respond({ ':status': 200 });
    if (!rawHeaders.includes('x-endless')) {
      stream.end('short');
      return;
    }
    const write = (): void => {
      while (!stream.destroyed && stream.write(Buffer.alloc(16_384))) sent += 16_384;
      stream.once('drain', write);
    };
    write();
  });
  const events = new RecordedStream();
  const endless = server.session.request({ path: '/a', pairs: ['x-endless', '1'] }, events);
  endless.end([]);
  endless.pause();

  await until(() => events.dataBytes === MEBIBYTE);
  assert.equal((await finished(server.session)).data.toString(), 'short');
  assert.equal(events.dataBytes, MEBIBYTE);

  endless.resume();
  await until(() => events.dataBytes > 40 * MEBIBYTE); // beyond the window of the connection, too
  endless.reset(ErrorCode.CANCEL);
  assert.ok(sent > 0);
});

test('data that is not read any more does not fill the window of the connection', async () => {
  await using server = await nodeServer((stream) => {
    stream.respond({ ':status': 200 });
    stream.end(Buffer.alloc(MEBIBYTE));
  });

  for (let round = 0; round < 40; round++) {
    const events = new RecordedStream();
    const stream = server.session.request({ path: '/a', pairs: [] }, events);
    stream.end([]);
    stream.pause();
    await until(() => events.dataBytes > 0);
    stream.reset(ErrorCode.CANCEL);
  }

  assert.equal((await finished(server.session)).dataBytes, MEBIBYTE);
});

test('streams above the limit of the server wait for others', async () => {
  const streams: ServerHttp2Stream[] = [];
  await using server = await nodeServer((stream) => streams.push(stream), {
    settings: { maxConcurrentStreams: 2 },
  });
  await server.session.ping();
  const recorded = Array.from({ length: 5 }, () => new RecordedStream());
  const requests = recorded.map((events) => server.session.request({ path: '/a', pairs: [] }, events));
  for (const request of requests) request.end([Buffer.from('x')]);
  await server.session.ping();
  assert.equal(streams.length, 2);

  requests[2]?.reset(ErrorCode.CANCEL); // it has not been sent
  for (let answered = 0; answered < 4; answered++) {
    await until(() => streams.length > answered);
    streams[answered]?.respond({ ':status': 200 }, ONLY_STATUS);
  }
  await until(() => recorded.every(({ events }) => events.at(-1) === 'close'));

  assert.deepEqual(
    recorded.map(({ events }) => events.length),
    [3, 3, 1, 3, 3],
  );
  assert.equal(streams.length, 4);
});

test('a response that comes before the end of the request ends the stream', async () => {
  const codes: (number | undefined)[] = [];
  await using server = await nodeServer((stream) => {
    stream.on('close', () => codes.push(stream.rstCode));
    stream.respond({ ':status': 200 });
    stream.end('early');
  });
  const events = new RecordedStream();
  const stream = server.session.request({ path: '/a', pairs: [] }, events);
  stream.write([Buffer.alloc(10)]);

  await until(() => events.events.includes('close'));
  await until(() => codes.length === 1);

  assert.deepEqual(
    [events.data.toString(), stream.isWritable, codes],
    ['early', false, [ErrorCode.NO_ERROR]],
  );
});

test('a writer waits while the server does not read, and is notified', async () => {
  const streams: ServerHttp2Stream[] = [];
  await using server = await nodeServer((stream) => streams.push(stream));
  const events = new RecordedStream();
  const stream = server.session.request({ path: '/a', pairs: [] }, events);

  let written = 0;
  while (stream.write([Buffer.alloc(16_384)])) written += 16_384;
  assert.ok(written <= 4 * DEFAULT_WINDOW_BYTES);
  assert.deepEqual(events.events, []);

  await until(() => streams.length === 1);
  streams[0]?.resume();
  await until(() => events.events.includes('drain'));
  stream.end([]);
  streams[0]?.respond({ ':status': 200 }, ONLY_STATUS);
  await until(() => events.events.includes('close'));
});

test('a response of any size arrives over TLS', async () => {
  const server = createSecureServer({ cert: readFileSync(TEST_CERTIFICATE), key: readFileSync(TEST_KEY) });
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const options = { port, host: '127.0.0.1', ca: readFileSync(TEST_CERTIFICATE), ALPNProtocols: ['h2'] };
  const session = new FrameSession(connectTls(options), TEST_HEADERS);
  const body = Buffer.alloc(3 * MEBIBYTE, 'tls');

  const { data } = await finished(session, { body: [body] });

  assert.ok(data.equals(body));
  session.destroy();
  await session.closed;
  await new Promise((resolve) => server.close(resolve));
});

test('a connection that is closed finishes its streams first', async () => {
  const streams: ServerHttp2Stream[] = [];
  await using server = await nodeServer((stream) => streams.push(stream));
  const events = new RecordedStream();
  server.session.request({ path: '/a', pairs: [] }, events).end([]);
  await until(() => streams.length === 1);

  server.session.close();
  assert.throws(() => server.session.request({ path: '/a', pairs: [] }, new RecordedStream()));
  streams[0]?.respond({ ':status': 200 }, ONLY_STATUS);
  await server.session.closed;

  assert.equal(events.events.at(-2), 'end');
});

test('pings measure, are limited, and fail with the connection', async () => {
  using server = new RawHttp2Server();
  server.sendSettings();
  const pings = Array.from({ length: 10 }, () => server.session.ping());
  await assert.rejects(server.session.ping(), /has not responded/);

  await until(() => server.received(FrameType.PING).length === 10);
  const [first] = server.received(FrameType.PING);
  server.send({ type: FrameType.PING, flags: Flag.ACK, payload: first?.payload ?? Buffer.alloc(0) });
  assert.ok(((await pings[0]) ?? -1) >= 0);

  server.session.destroy(new Error('gone'));
  for (const ping of pings.slice(1)) await assert.rejects(ping, /gone/);
  await assert.rejects(server.session.ping(), /gone/);
});

test('the end of the socket ends the streams', async () => {
  using server = new RawHttp2Server();
  const events = new RecordedStream();
  server.session.request({ path: '/a', pairs: [] }, events).end([]);

  server.socket.end();
  await server.session.closed;

  assert.deepEqual(events.events, ['close']);
  assert.equal(server.session.isDestroyed, true);
});

/** A whole conversation: settings, an interim response, padding, priorities, continuations, trailers. */
const CONVERSATION = Buffer.concat([
  frameBytes({
    type: FrameType.SETTINGS,
    payload: Buffer.from([0, Http2Setting.MAX_CONCURRENT_STREAMS, 0, 0, 0, 9]),
  }),
  frameBytes({
    type: FrameType.HEADERS,
    flags: Flag.END_HEADERS,
    streamId: 1,
    payload: Buffer.from('\x08\x03103'),
  }),
  frameBytes({
    type: FrameType.HEADERS,
    flags: Flag.PADDED | Flag.PRIORITY,
    streamId: 1,
    payload: Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 1]), Buffer.from([0x88, 0, 1]), Buffer.alloc(3)]),
  }),
  frameBytes({ type: FrameType.CONTINUATION, streamId: 1 }),
  frameBytes({
    type: FrameType.CONTINUATION,
    flags: Flag.END_HEADERS,
    streamId: 1,
    // "www.example.com" of RFC 7541, C.4.1
    payload: Buffer.from('618cf1e3c2e5f23a6ba0ab90f4ff', 'hex').fill(0x61, 0, 1),
  }),
  frameBytes({
    type: FrameType.DATA,
    flags: Flag.PADDED,
    streamId: 1,
    payload: Buffer.from('\x02one\0\0'),
  }),
  frameBytes({ type: 2, streamId: 1, payload: Buffer.alloc(5) }),
  frameBytes({ type: FrameType.DATA, streamId: 1, payload: Buffer.from('two') }),
  frameBytes({ type: FrameType.DATA, streamId: 1 }),
  frameBytes({ type: FrameType.WINDOW_UPDATE, payload: uint32(1) }),
  frameBytes({
    type: FrameType.HEADERS,
    flags: Flag.END_HEADERS | Flag.END_STREAM,
    streamId: 1,
    payload: Buffer.from('\x00\x0bgrpc-status\x010'),
  }),
]);

test('a response is the same wherever its bytes are split', async () => {
  for (let at = 0; at <= CONVERSATION.length; at++) {
    assert.deepEqual(await played([CONVERSATION.subarray(0, at), CONVERSATION.subarray(at)]), {
      events: ['headers :status 200 a www.example.com', 'trailers grpc-status 0', 'end', 'close'],
      data: 'onetwo',
    });
  }
  const bytes = [...CONVERSATION].map((byte) => Buffer.from([byte]));
  assert.equal((await played(bytes)).data, 'onetwo');
});

async function played(chunks: readonly Buffer[]): Promise<{ events: string[]; data: string }> {
  const [client, peer] = duplexPair();
  peer.resume();
  const session = new FrameSession(client, TEST_HEADERS);
  const events = new RecordedStream();
  session.request({ path: '/a', pairs: [] }, events).end([]);
  for (const chunk of chunks) client.emit('data', chunk);
  await until(() => events.events.includes('close'));
  session.destroy();
  peer.destroy();
  return { events: events.events, data: events.data.toString() };
}

/** Changes the window of all streams. */
function setWindow(server: RawHttp2Server, bytes: number): void {
  server.sendSettings(Buffer.concat([uint32(Http2Setting.INITIAL_WINDOW_SIZE).subarray(2), uint32(bytes)]));
}

test('a server that reduces the window of streams is sent no more than that', async () => {
  using server = new RawHttp2Server();
  const sent = (): number =>
    server.received(FrameType.DATA).reduce((bytes, { payload }) => bytes + payload.length, 0);
  const synced = async (): Promise<void> => {
    const before = server.received(FrameType.PING).length;
    server.send({ type: FrameType.PING, payload: Buffer.alloc(8) });
    await until(() => server.received(FrameType.PING).length > before);
  };
  server.send({ type: FrameType.SETTINGS }, { type: FrameType.WINDOW_UPDATE, payload: uint32(MEBIBYTE) });
  await synced();
  const request = server.session.request({ path: '/a', pairs: [] }, new RecordedStream());
  request.end([Buffer.alloc(100_000)]);
  await synced();
  assert.equal(sent(), DEFAULT_WINDOW_BYTES);

  setWindow(server, 100); // what was sent is more: the window is negative
  server.send({ type: FrameType.WINDOW_UPDATE, streamId: 1, payload: uint32(DEFAULT_WINDOW_BYTES - 100) });
  await synced();
  assert.equal(sent(), DEFAULT_WINDOW_BYTES);

  setWindow(server, 105);
  await synced();
  assert.equal(sent(), DEFAULT_WINDOW_BYTES + 5);

  setWindow(server, MEBIBYTE);
  await synced();
  assert.equal(sent(), 100_000);
  assert.equal(server.received(FrameType.DATA).at(-1)?.flags, Flag.END_STREAM);
});

test('a window of the connection is shared, in the order of the requests', async () => {
  using server = new RawHttp2Server();
  setWindow(server, MEBIBYTE);
  await until(() => server.received(FrameType.SETTINGS).length === 2); // the second one is the ACK
  for (const size of [60_000, 10_000, 10_000])
    server.session.request({ path: '/a', pairs: [] }, new RecordedStream()).end([Buffer.alloc(size)]);
  const ended = (): number[] =>
    server
      .received(FrameType.DATA)
      .flatMap(({ flags, streamId }) => (flags === Flag.END_STREAM ? [streamId] : []));
  await until(() => ended().length === 1);

  // The first one is not enough for any of them.
  for (const bytes of [100, 100_000]) server.send({ type: FrameType.WINDOW_UPDATE, payload: uint32(bytes) });
  await until(() => ended().length === 3);

  assert.deepEqual(ended(), [1, 3, 5]);
});
