import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { startStallingProxy } from '#testkit/faults/stalling-proxy';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { type ForeignHandlers, startForeignServer } from '#testkit/servers/foreign-server';
import { startNameServer } from '#testkit/servers/name-server';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { CallError, dial } from './index.ts';

const FIXTURES = join(import.meta.dirname, '../testkit/fixtures');
const TRUE = Buffer.from([8, 1]);
const RETRY = { initialBackoffMs: 100, maxBackoffMs: 100, maxAttempts: 50 };
const PINGS = { timeMs: 200, timeoutMs: 500 };

type Answer = (error: null, response: Buffer) => void;

/** Returns a server that answers all reads but only the first `count` writes. */
function answering(count = Number.POSITIVE_INFINITY): { handlers: ForeignHandlers; writes: () => number } {
  let writes = 0;
  const handlers: ForeignHandlers = {
    refExists: (_call: unknown, answer: Answer) => answer(null, TRUE),
    createRepository: (_call: unknown, answer: Answer) => {
      writes++;
      if (writes <= count) answer(null, Buffer.alloc(0));
    },
  };
  return { handlers, writes: () => writes };
}

function isClear(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CallError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

test('a read-only call survives a restart of the server, and a writing one fails', async () => {
  const { handlers, writes } = answering(0);
  let server = await startForeignServer(handlers, '127.0.0.1:0');
  const port = new URL(server.address).port;
  await using connection = await dial(server.address, { retry: RETRY });
  await connection.ref.refExists({});
  const writing = assert.rejects(connection.repository.createRepository({}), isClear('UNAVAILABLE', /./));
  await until(() => writes() === 1, 'the server has the call');

  await server[Symbol.asyncDispose]();
  await writing;
  const reading = connection.ref.refExists({});
  await assert.rejects(
    connection.repository.createRepository({}),
    isClear('UNAVAILABLE', /dial tcp 127\.0\.0\.1:\d+: connect: connection refused/),
  );
  server = await startForeignServer(handlers, `127.0.0.1:${port}`);

  assert.equal((await reading).value, true);
  await server[Symbol.asyncDispose]();
});

test('a silent connection is closed, and read-only calls move to another one', async () => {
  const { handlers, writes } = answering(0);
  let hasStalled = false;
  let reads = 0;
  const refExists = (_call: unknown, answer: Answer) => {
    reads++;
    if (hasStalled) answer(null, TRUE);
  };
  await using server = await startForeignServer({ ...handlers, refExists });
  await using proxy = await startStallingProxy(server.address);
  await using connection = await dial(proxy.address, { retry: RETRY, keepalive: PINGS });
  const reading = connection.ref.refExists({});
  const writing = connection.repository.createRepository({});
  await until(() => reads + writes() === 2, 'the server has both calls');

  hasStalled = true;
  proxy.stall();

  await assert.rejects(
    writing,
    isClear('UNAVAILABLE', /keepalive ping failed to receive ACK within timeout/),
  );
  assert.equal((await reading).value, true);
  assert.deepEqual([writes(), proxy.accepted], [1, 2]);
});

test('a server that accepts the connection and stays silent is disconnected', async () => {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => open.add(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = server.address();
  const address = `tcp://127.0.0.1:${typeof place === 'object' ? place?.port : 0}`;
  await using connection = await dial(address, { retry: false, keepalive: PINGS });

  await assert.rejects(connection.ref.refExists({}), isClear('UNAVAILABLE', /keepalive ping failed/));

  for (const socket of open) socket.destroy();
  server.close();
});

test('a connection that breaks during a call is opened again', async () => {
  const { handlers, writes } = answering(0);
  await using server = await startForeignServer(handlers);
  await using proxy = await startStallingProxy(server.address);
  await using connection = await dial(proxy.address, { retry: RETRY });
  await connection.ref.refExists({});
  const writing = connection.repository.createRepository({});
  await until(() => writes() === 1, 'the server has the call');

  proxy.cut();

  await assert.rejects(writing, isClear('UNAVAILABLE', /./));
  assert.equal((await connection.ref.refExists({})).value, true);
  assert.equal(proxy.accepted, 2);
});

/** Starts an HTTP/2 server with responses given by the test. */
async function startHttp2(
  onCall: (stream: ServerHttp2Stream, call: number) => void,
): Promise<{ address: string } & AsyncDisposable> {
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  let calls = 0;
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    onCall(stream, ++calls);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const place = server.address();
  return {
    address: `tcp://127.0.0.1:${typeof place === 'object' ? place?.port : 0}`,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function answer(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
}

test('after a GOAWAY the running call finishes and the next one uses another connection', async () => {
  const streams: ServerHttp2Stream[] = [];
  const sessions: unknown[] = [];
  await using server = await startHttp2((stream, call) => {
    streams.push(stream);
    sessions.push(stream.session);
    if (call === 1) stream.session?.goaway(0, 2 ** 31 - 1);
  });
  await using connection = await dial(server.address);

  const first = connection.ref.refExists({});
  await until(() => streams.length === 1, 'the server has the call');
  await delay(50); // the GOAWAY has arrived
  const second = connection.ref.refExists({});
  await until(() => streams.length === 2, 'the server has both calls');
  for (const stream of streams) answer(stream);

  assert.equal((await second).value, true);
  assert.equal((await first).value, true);
  assert.equal(new Set(sessions).size, 2);
});

test('a call that the server has not processed is retried, even if it writes', async () => {
  let calls = 0;
  await using server = await startHttp2((stream, call) => {
    calls = call;
    if (call !== 2) return answer(stream);
    stream.session?.goaway(0, 1); // the first call was the last one that it processed
  });
  await using connection = await dial(server.address, { retry: false });
  await connection.ref.refExists({});

  await connection.repository.createRepository({});

  assert.equal(calls, 3);
});

test('calls fail after three attempts if a server refuses every stream', async () => {
  let calls = 0;
  await using server = await startHttp2((stream) => {
    calls++;
    stream.close(7); // REFUSED_STREAM
  });
  await using connection = await dial(server.address, { retry: false });

  await assert.rejects(connection.repository.createRepository({}), (error) => {
    assert.ok(error instanceof CallError && error.retryable);
    return error.code === 'UNAVAILABLE';
  });
  assert.equal(calls, 3);
});

test('calls follow the addresses of a name', async () => {
  const counts = { first: 0, second: 0 };
  const counting = (name: keyof typeof counts): ForeignHandlers => ({
    refExists: (_call: unknown, respond: Answer) => {
      counts[name]++;
      respond(null, TRUE);
    },
  });
  await using first = await startForeignServer(counting('first'), '127.0.0.1:0');
  const { port } = new URL(first.address);
  await using _second = await startForeignServer(counting('second'), `127.0.0.2:${port}`);
  await using names = await startNameServer(['127.0.0.1', '127.0.0.2']);
  const address = `dns://127.0.0.1:${names.port}/gitaly.example:${port}`;
  await using connection = await dial(address, { dnsResolver: { refreshMs: 50 } });
  const call = async (times: number) => {
    counts.first = 0;
    counts.second = 0;
    for (let i = 0; i < times; i++) await connection.ref.refExists({});
    return { ...counts };
  };
  await until(
    async () => isDeepStrictEqual(await call(10), { first: 5, second: 5 }),
    'both are asked in turn',
  );

  names.addresses = ['127.0.0.2'];
  await until(
    async () => isDeepStrictEqual(await call(10), { first: 0, second: 10 }),
    'only the second is asked',
  );
});

test('a changed certificate is checked: calls go on with a trusted one and fail with another', async () => {
  const certificate = (name: string) => ({
    certificate_path: join(FIXTURES, `${name}-certificate.pem`),
    key_path: join(FIXTURES, `${name}-key.pem`),
  });
  const trusted = [readFileSync(TEST_CERTIFICATE)];
  const both = [...trusted, readFileSync(join(FIXTURES, 'tls-other-certificate.pem'))];
  const before = await startGitaly({ tls: true });
  const address = before.addresses.tls ?? '';
  await using patient = await dial(address, { tls: { ca: both } });
  await using strict = await dial(address, { tls: { ca: trusted }, retry: false });
  for (const connection of [patient, strict]) await connection.server.serverInfo({});

  await before[Symbol.asyncDispose]();
  const listen = address.replace('tls://', '');
  await using _after = await startGitaly({
    config: { tls_listen_addr: listen, tls: certificate('tls-other') },
  });

  await patient.server.serverInfo({});
  await assert.rejects(
    strict.server.serverInfo({}),
    isClear('UNAVAILABLE', /authentication handshake failed: self-signed certificate/),
  );
});
