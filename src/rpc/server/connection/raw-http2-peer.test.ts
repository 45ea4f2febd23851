import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeFrame } from '#rpc/common/grpc/grpc-frame';
import { listen } from '#testkit/clients/in-process-rpc';
import { closed } from '#testkit/faults/closed';
import { until } from '#testkit/until';
import { CommitService, FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { serve } from '../handler.ts';
import { STREAM_RESET_BURST } from './connection-limits.ts';

const services = [
  serve(CommitService, { findCommit: ({ revision }) => ({ commit: { subject: revision } }) }),
];
const PATH = '/gitaly.CommitService/FindCommit';
const REQUEST = toBinary(
  FindCommitRequestSchema,
  create(FindCommitRequestSchema, { revision: Buffer.from('abc') }),
);

interface Answer {
  readonly headers: IncomingHttpHeaders & { ':status'?: number };
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function ask(port: number, headers: OutgoingHttpHeaders, ...body: Uint8Array[]): Promise<Answer> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const answer = { headers: {}, trailers: {}, body: Buffer.alloc(0) };
    stream.on('response', (received) => Object.assign(answer.headers, received));
    stream.on('trailers', (received) => Object.assign(answer.trailers, received));
    stream.on('data', (chunk: Buffer) => {
      answer.body = Buffer.concat([answer.body, chunk]);
    });
    stream.on('error', () => {});
    if (stream.writable) {
      for (const chunk of body) stream.write(chunk);
      stream.end();
    }
    await once(stream, 'close');
    return answer;
  } finally {
    session.destroy();
  }
}

test('requests that are not gRPC are refused as by grpc-go', async () => {
  await using server = await listen({ services });

  const html = await ask(server.port, { 'content-type': 'text/html' });
  assert.equal(html.headers[':status'], 415);
  assert.equal(html.headers['grpc-message'], 'invalid gRPC request content-type "text/html"');
  const get = await ask(server.port, { ':method': 'GET' });
  assert.equal(get.headers[':status'], 405);
  assert.equal(get.headers['grpc-status'], '13');
  assert.match(get.body.toString(), /^This port serves gRPC .* gitaly-ts up\n$/);
  const hurry = await ask(server.port, { 'grpc-timeout': '5 minutes' });
  assert.deepEqual([hurry.headers[':status'], hurry.headers['grpc-status']], [400, '13']);
  const unit = 'malformed grpc-timeout: transport: timeout unit is not recognized: "5 minutes"';
  assert.equal(hurry.headers['grpc-message'], unit);
  for (const [timeout, problem] of [
    ['S', 'transport: timeout string is too short: "S"'],
    ['1234567890S', 'transport: timeout string is too long: "1234567890S"'],
    ['-5S', 'strconv.ParseUint: parsing "-5": invalid syntax'],
  ] as const) {
    const { headers } = await ask(server.port, { 'grpc-timeout': timeout });
    assert.equal(headers['grpc-message'], `malformed grpc-timeout: ${problem}`);
  }
});

// grpc-go ends the call. Here, the value was read up to the invalid byte.
test('a binary header that is no Base64 ends the call, not the connection', async () => {
  await using server = await listen({ services });

  const { headers } = await ask(server.port, { 'x-test-bin': '!!!' });

  assert.deepEqual([headers[':status'], headers['grpc-status']], [400, '13']);
  const problem = 'illegal base64 data at input byte 0';
  assert.equal(headers['grpc-message'], `malformed binary metadata "!!!" in header "x-test-bin": ${problem}`);
});

test('content types with a suffix or parameters are gRPC', async () => {
  await using server = await listen({ services });

  for (const type of ['application/grpc+proto', 'application/grpc;v=1']) {
    assert.equal(
      (await ask(server.port, { 'content-type': type }, ...encodeFrame([REQUEST]))).trailers['grpc-status'],
      '0',
    );
  }
});

test('a response is headers, messages and trailers; an error without messages is headers alone', async () => {
  await using server = await listen({ services });

  const ok = await ask(server.port, {}, ...encodeFrame([REQUEST]));
  const failed = await ask(server.port, { ':path': '/gitaly.X/Y' }, ...encodeFrame([REQUEST]));

  assert.deepEqual(
    [ok.headers[':status'], ok.headers['content-type'], ok.trailers['grpc-status']],
    [200, 'application/grpc', '0'],
  );
  assert.ok(ok.body.includes('abc'));
  assert.deepEqual(
    [failed.headers['grpc-status'], failed.headers['grpc-message']],
    ['12', 'unknown service gitaly.X'],
  );
  assert.deepEqual([failed.body.length, failed.trailers], [0, {}]);
});

test('the server ends a call at its deadline, whatever the client does', async () => {
  const handlers = [
    serve(CommitService, {
      findCommit: async (_request, { signal }) => {
        await once(signal, 'abort');
        throw signal.reason;
      },
      // Does not check the signal; ends by itself for a test that fails.
      listFiles: async function* () {
        for (let message = 0; message < 500; message++) {
          yield {};
          await delay(10); // lasts five seconds in all
        }
      },
    }),
  ];
  await using server = await listen({ services: handlers });
  const askIn100Ms = (path: string) =>
    ask(server.port, { ':path': path, 'grpc-timeout': '100m' }, ...encodeFrame([REQUEST]));

  const [unary, stream] = await Promise.all([
    askIn100Ms(PATH),
    askIn100Ms('/gitaly.CommitService/ListFiles'),
  ]);

  assert.deepEqual(
    [unary.headers['grpc-status'], unary.headers['grpc-message']],
    ['4', 'context deadline exceeded'],
  );
  assert.equal(stream.headers[':status'], 200);
  assert.equal(stream.trailers['grpc-status'], '4');
});

test('gzip messages are accepted, and other encodings are refused with the list of known ones', async () => {
  await using server = await listen({ services });
  const packed = Buffer.concat(encodeFrame([gzipSync(REQUEST)]));
  packed[0] = 1;

  const gzip = await ask(server.port, { 'grpc-encoding': 'gzip' }, packed);
  const plain = await ask(server.port, { 'grpc-encoding': 'gzip' }, ...encodeFrame([REQUEST]));
  const zstd = await ask(server.port, { 'grpc-encoding': 'zstd' }, packed);
  const unannounced = await ask(server.port, {}, packed);

  assert.ok(gzip.body.includes('abc'));
  assert.ok(plain.body.includes('abc'));
  assert.deepEqual(
    [zstd.headers['grpc-status'], zstd.headers['grpc-accept-encoding']],
    ['12', 'identity,gzip'],
  );
  assert.equal(zstd.headers['grpc-message'], 'grpc: Decompressor is not installed for grpc-encoding "zstd"');
  assert.deepEqual([unannounced.headers['grpc-status']], ['13']);
});

test('a compression bomb is refused', async () => {
  await using server = await listen({ services });
  const bomb = Buffer.concat(encodeFrame([gzipSync(Buffer.alloc(5_000_000))]));
  bomb[0] = 1;

  assert.equal((await ask(server.port, { 'grpc-encoding': 'gzip' }, bomb)).headers['grpc-status'], '8');
});

test('malformed messages end the call, not the connection', async () => {
  await using server = await listen({ services });

  for (const [bytes, status] of [
    [Buffer.of(7, 0, 0, 0, 0), '13'], // unknown flag
    [Buffer.of(0, 0, 0, 0, 9, 1), '13'], // ends inside of a message
    [Buffer.of(0, 0), '13'], // ends inside of a prefix
    [Buffer.of(0, 0xff, 0xff, 0xff, 0xff), '8'], // a length of 4 GiB
  ] as const) {
    assert.equal((await ask(server.port, {}, bytes)).headers['grpc-status'], status, bytes.toString('hex'));
  }
});

test('metadata in base64 with and without padding, many headers and long values are received', async () => {
  const seen: (string | undefined)[] = [];
  await using server = await listen({
    services: [
      serve(CommitService, {
        findCommit: (_request, { headers }) => {
          seen.push(
            ...headers.getAll('x-bin'),
            headers.get('gitaly-feature-299'),
            String(headers.get('gitaly-servers')?.length),
          );
          return {};
        },
      }),
    ],
  });
  const flags = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`gitaly-feature-${i}`, 'true']));

  await ask(
    server.port,
    { ...flags, 'x-bin': 'YQ==,Yg', 'gitaly-servers': 'x'.repeat(20_000) },
    ...encodeFrame([REQUEST]),
  );

  assert.deepEqual(seen, ['a', 'b', 'true', '20000']);
});

test('garbage instead of HTTP/2 ends only its connection', async () => {
  await using server = await listen({ services });

  for (const garbage of [
    'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\xff\0\0\0\0\0',
    '\0'.repeat(100),
  ]) {
    const socket = dial(server.port, '127.0.0.1');
    socket.resume();
    socket.write(garbage, 'latin1');
    await closed(socket);
  }

  assert.equal((await ask(server.port, {}, ...encodeFrame([REQUEST]))).trailers['grpc-status'], '0');
});

test('metadata up to the advertised limit is accepted, also what hardly compresses', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`, { maxSendHeaderBlockLength: 1 << 20 });
  const [settings] = await once(session, 'remoteSettings');
  const limit: number = settings.maxHeaderListSize;
  const values = Array.from({ length: 134 }, (_, index): [string, string] => [
    `x-${index}`,
    String.fromCharCode(
      ...Array.from({ length: 1024 }, (_each, at) => 0x21 + ((at * at * 31 + index * 7919) % 94)),
    ),
  ]);

  for (let call = 0; call < 2; call++) {
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      ...Object.fromEntries(values),
    });
    stream.resume();
    stream.end(Buffer.concat(encodeFrame([REQUEST])));
    const [trailers] = await once(stream, 'trailers');
    assert.equal(trailers['grpc-status'], '0');
  }

  const size = values.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  assert.ok(size > 138_000 && size < limit, `${size} of ${limit} bytes`);
  session.destroy();
});

test('a silent connection is closed', async () => {
  await using server = await listen({ services, keepalive: { handshakeTimeoutMs: 50 } });
  const socket = dial(server.port, '127.0.0.1');
  socket.resume();

  await once(socket, 'close');
});

function goaway(session: ClientHttp2Session): Promise<[number, string | undefined]> {
  session.on('error', () => {});
  return new Promise((resolve) =>
    session.once('goaway', (code, _last, data) => resolve([code, data?.toString()])),
  );
}

function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => session.ping(() => resolve()));
}

test('a client that pings too often is disconnected with too_many_pings', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const sentAway = goaway(session);
  await once(session, 'connect');

  for (let i = 0; i < 4; i++) await ping(session);

  assert.deepEqual(await sentAway, [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings']);
  session.destroy();
});

test('the distance of pings counts, not how long the server has run', async () => {
  await using server = await listen({ services, keepalive: { minClientPingIntervalMs: 1000 } });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const sentAway = goaway(session);
  await once(session, 'connect');
  await until(() => performance.now() >= 1000); // the tests before took longer

  for (let i = 0; i < 4; i++) session.ping(() => {});

  assert.deepEqual(await sentAway, [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings']);
  session.destroy();
});

test('pings with enough distance are accepted, with and without calls', async () => {
  await using server = await listen({ services, keepalive: { minClientPingIntervalMs: 10 } });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  await once(session, 'connect');

  for (let i = 0; i < 6; i++) {
    await ping(session);
    await delay(15); // the distance that the title means: more than 10 ms
  }

  assert.equal(session.destroyed, false);
  session.destroy();
});

test('pings around data are no strikes, because window estimators send them', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);

  for (let i = 0; i < 10; i++) {
    const stream = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc' });
    stream.resume();
    stream.end(Buffer.concat(encodeFrame([REQUEST])));
    await once(stream, 'close');
    await ping(session);
  }

  assert.equal(session.destroyed, false);
  session.destroy();
});

test('a call forgives the strikes before it', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const call = async (): Promise<void> => {
    const stream = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc' });
    stream.resume();
    stream.end(Buffer.concat(encodeFrame([REQUEST])));
    await once(stream, 'close');
  };

  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) await ping(session);
    await call();
  }

  assert.equal(session.destroyed, false);
  session.destroy();
});

test('pings are no strikes while earlier responses still wait for space', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  let sentAway = false;
  session.once('goaway', () => {
    sentAway = true;
  });
  // As window estimators do: a ping whenever data arrives and the last ping was answered. All
  // responses together exceed the window many times.
  let [pings, isAsking] = [0, false];
  const estimate = (): void => {
    if (isAsking || session.destroyed) return;
    isAsking = true;
    pings++;
    session.ping(() => {
      isAsking = false;
    });
  };
  const request = create(FindCommitRequestSchema, { revision: Buffer.alloc(14_000, 'a') });
  const body = Buffer.concat(encodeFrame([toBinary(FindCommitRequestSchema, request)]));

  const answers = Array.from({ length: 64 }, async () => {
    const stream = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc' });
    let received = 0;
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
      estimate();
    });
    stream.end(body);
    await once(stream, 'close');
    return received;
  });

  for (const received of await Promise.all(answers)) assert.ok(received > 14_000);
  assert.ok(pings > 4, `${pings} pings`);
  assert.equal(sentAway, false);
  session.destroy();
});

test('an idle client is pinged, and disconnected when it does not answer', async () => {
  await using server = await listen({ services, keepalive: { pingAfterMs: 30, pingTimeoutMs: 500 } });
  const living = connectHttp2(`http://127.0.0.1:${server.port}`);
  let pings = 0;
  living.on('ping', () => pings++);
  const dead = dial(server.port, '127.0.0.1');
  dead.resume();
  // preface and empty settings, then silence
  dead.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');

  await once(dead, 'close');
  await until(() => pings > 0);

  assert.equal(living.destroyed, false);
  living.destroy();
});

test('a client that resets streams without end is disconnected', async () => {
  await using server = await listen({ services });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  const sentAway = goaway(session);
  await once(session, 'connect');

  let resets = 0;
  for (let round = 0; round < 80 && !session.destroyed; round++) {
    for (let i = 0; i < 100 && !session.destroyed; i++) {
      resets++;
      const stream = session.request({
        ':method': 'POST',
        ':path': PATH,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await ping(session);
  }

  assert.deepEqual(await sentAway, [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_resets']);
  assert.ok(resets > STREAM_RESET_BURST, `${resets} resets`);
  session.destroy();
});
