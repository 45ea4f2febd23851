/** grpc-go as an independent peer of our gRPC layer, in both roles (test/peers-go). */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { connectGrpc, type GrpcChannel, type OpenSession } from '#rpc/common/grpc/grpc-channel';
import type { Metadata } from '#rpc/common/metadata';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type HandlerContext, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import type { RawHandler, RawMethod } from '#rpc/server/route';
import { all, only } from '#testkit/clients/in-process-rpc';
import { testSessions } from '#testkit/clients/test-sessions';
import { goProgram } from '#testkit/programs/go-program';
import { run } from '#testkit/run-program';
import { steady, until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { methodInfo } from '#wire/method-info';

const program = await goProgram(new URL('./peers-go/', import.meta.url).pathname);
const skip = program === undefined ? 'Go is not installed: not tested against grpc-go' : false;

// --- grpc-go as the client of our server
// -----------------------------------------------------------------------------------

interface OurServer extends AsyncDisposable {
  /** Runs a case of the Go client and returns its errors; empty if it succeeds. */
  play(name: string): Promise<string>;
  readonly produced: number;
  readonly reasons: unknown[];
  /** Errors of connections that have ended. */
  readonly problems: string[];
  /** Waits until all connections have ended. */
  ended(): Promise<void>;
}

async function ourServer(): Promise<OurServer> {
  const directory = await mkdtemp(join(tmpdir(), 'grpc-go-'));
  const socket = join(directory, 's');
  const state = { produced: 0, reasons: [] as unknown[], problems: [] as string[] };
  const handlers: Record<string, RawHandler> = {
    Echo: (requests) => requests,
    Metadata: async function* (_requests, { headers, trailers }) {
      for (const id of headers.getAll('x-id')) trailers.append('x-echo', id);
      trailers.set('x-echo-bin', headers.getBytes('x-raw-bin') ?? Buffer.alloc(0));
      yield Buffer.alloc(0);
    },
    Fail: () => {
      throw new GitalyError('NOT_FOUND', 'grün: 100%', {
        details: [create(LimitErrorSchema, { errorMessage: 'x' })],
      });
    },
    FailLate: async function* () {
      yield Buffer.from('first');
      throw new GitalyError('ABORTED', 'late');
    },
    Wait: async function* (_requests, context) {
      await aborted(context);
      yield Buffer.alloc(0);
    },
    Flood: async function* (_requests, context) {
      context.signal.addEventListener('abort', () => state.reasons.push(context.signal.reason));
      for (; ; state.produced++) yield Buffer.alloc(100_000);
    },
    Large: async function* () {
      yield Buffer.alloc(5_000_000);
    },
    Early: () => {
      throw new GitalyError('INVALID_ARGUMENT', 'not a word more');
    },
    Drain: (requests) => {
      listener.close();
      void server.shutdown({ graceMs: 10_000 });
      return requests;
    },
  };

  async function aborted({ signal }: HandlerContext): Promise<void> {
    if (!signal.aborted) await once(signal, 'abort');
    state.reasons.push(signal.reason);
    throw signal.reason;
  }

  function peerMethod(path: string): RawMethod | undefined {
    const handler = path.startsWith('/peer.Test/') ? handlers[path.slice('/peer.Test/'.length)] : undefined;
    return handler && { method: methodInfo(SSHService.method.sSHReceivePack), handler };
  }

  const server = new GrpcServer({
    services: [serve(CommitService, { findCommit: () => ({ commit: { id: 'abc' } }) }), healthService()],
    unknownMethod: peerMethod,
    onConnectionError: ({ message }) => state.problems.push(message),
  });
  const listener = createServer((connection) =>
    server.serveConnection(connection, { transport: 'unix', address: socket, backchannelId: undefined }),
  );
  listener.listen(socket);
  await once(listener, 'listening');
  return {
    play: async (name) => {
      const { code, stdout, stderr } = await run(program ?? '', [
        '-role',
        'client',
        '-socket',
        socket,
        '-case',
        name,
      ]);
      return code === 0 ? '' : `${stdout}${stderr}` || `exit code ${code}`;
    },
    get produced() {
      return state.produced;
    },
    reasons: state.reasons,
    problems: state.problems,
    ended: () => until(() => server.connections === 0, 'a connection stays'),
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await server.shutdown({ graceMs: 0 });
      await rm(directory, { recursive: true });
    },
  };
}

for (const [name, what] of [
  ['unary', 'makes a unary call'],
  ['metadata', 'sends and gets metadata, bytes included'],
  ['details', 'gets an error with details'],
  ['late-error', 'gets an error after a message'],
  ['large', 'sends and gets messages up to the limit and no larger'],
  ['gzip', 'sends gzip'],
  ['half-close', 'half-closes and reads on'],
  ['bulk', 'sends 100 MB there and back, pinging as it likes'],
  ['many', 'has 200 calls running at once'],
  ['early-answer', 'is answered while it still sends'],
  ['unimplemented', 'is told which services and methods are unknown'],
  ['health', 'asks for health'],
  ['drain', 'finishes its call while the server stops'],
] as const) {
  test(`a grpc-go client ${what}`, { skip }, async () => {
    await using server = await ourServer();

    assert.equal(await server.play(name), '');

    // Go ends with a GOAWAY whose number nghttp2 refuses: each gitaly-ssh was logged as a warning.
    await server.ended();
    assert.deepEqual(server.problems, []);
  });
}

test('the deadline and the cancellation of a grpc-go client reach the handler', { skip }, async () => {
  await using server = await ourServer();

  assert.equal(await server.play('deadline'), '');
  assert.equal(await server.play('cancel'), '');
  await until(() => server.reasons.length >= 2);
  assert.deepEqual(server.reasons[1], new GitalyError('CANCELLED', 'context canceled'));
});

test('a slow grpc-go client stops our generator', { skip }, async () => {
  await using server = await ourServer();

  const played = server.play('slow-reader');
  await until(() => server.produced > 0);
  const before = await steady(() => server.produced);

  assert.ok(before > 0 && before < 100, `${before} messages were made ahead`);
  assert.equal(await played, '');
});

test('a grpc-go client that dies cancels its call', { skip }, async () => {
  await using server = await ourServer();

  assert.equal(await server.play('vanish'), '');
  await until(() => server.reasons.length > 0);
  assert.deepEqual(server.reasons, [new GitalyError('CANCELLED', 'context canceled')]);
});

// --- our client with a grpc-go server
// --------------------------------------------------------------------------------------

interface GoServer extends AsyncDisposable {
  readonly channel: GrpcChannel;
  readonly process: ChildProcess;
  invoke(
    name: string,
    requests?: Parameters<GrpcChannel['invokeRaw']>[1],
    options?: Parameters<GrpcChannel['invokeRaw']>[2],
  ): ReturnType<GrpcChannel['invokeRaw']>;
  counters(): Promise<{ aborted: number; produced: number }>;
}

async function goServer(openSession: OpenSession): Promise<GoServer> {
  const directory = await mkdtemp(join(tmpdir(), 'grpc-go-'));
  const socket = join(directory, 's');
  const child = spawn(program ?? '', ['-role', 'server', '-socket', socket], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const channel = connectGrpc(dial(socket), { openSession });
  const invoke: GoServer['invoke'] = (name, requests = [Buffer.alloc(0)], options = {}) =>
    channel.invokeRaw({ path: `/peer.Test/${name}`, kind: 'bidi_stream' }, requests, options);
  return {
    channel,
    process: child,
    invoke,
    counters: async () => JSON.parse((await only(invoke('Counters'))).toString()),
    [Symbol.asyncDispose]: async () => {
      channel.destroy();
      if (child.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(directory, { recursive: true });
    },
  };
}

testSessions('our client exchanges metadata with a grpc-go server', { skip }, async (openSession) => {
  await using go = await goServer(openSession);

  const call = go.invoke('Metadata', [], {
    metadata: { 'x-id': ['1', '2'], 'x-raw-bin': Buffer.of(0, 255, 1) },
  });

  assert.equal((await only(call)).toString(), 'done');
  const headers: Metadata = await call.headers;
  assert.equal(headers.get('x-header'), '1|2');
  assert.deepEqual((await call.trailers).getBytes('x-raw-bin'), Buffer.of(0, 255, 1));
});

testSessions(
  'our client receives statuses of grpc-go: trailers-only, with details, late, OK without messages',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);

    await assert.rejects(only(go.invoke('Fail')), (error: GitalyError) => {
      assert.deepEqual([error.code, error.message], ['NOT_FOUND', 'grün: 100%']);
      assert.equal(error.details.length, 1);
      return true;
    });
    const seen: string[] = [];
    await assert.rejects(
      async () => {
        for await (const message of go.invoke('FailLate')) seen.push(message.toString());
      },
      { code: 'ABORTED', message: 'late' },
    );
    assert.deepEqual(seen, ['first']);
    assert.deepEqual(await all(go.invoke('Nothing')), []);
    await assert.rejects(all(go.invoke('NoSuch')), {
      code: 'UNIMPLEMENTED',
      message: 'unknown method /peer.Test/NoSuch',
    });
  },
);

testSessions(
  'the deadline and the cancellation of our client reach a grpc-go server',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);

    await assert.rejects(all(go.invoke('Wait', [], { timeoutMs: 50 })), {
      code: 'DEADLINE_EXCEEDED',
      message: 'context deadline exceeded',
    });
    await assert.rejects(all(go.invoke('Wait', [], { signal: AbortSignal.timeout(50) })), {
      code: 'CANCELLED',
    });
    for await (const message of go.invoke('Flood')) {
      assert.equal(message.length, 100_000);
      break;
    }
    await until(async () => (await go.counters()).aborted >= 3);
  },
);

testSessions(
  'our client refuses messages above the limit of a grpc-go server, and is refused',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);
    const largest = Buffer.alloc(4_194_304, 1);

    assert.equal((await only(go.invoke('Echo', [largest]))).length, largest.length);
    await assert.rejects(all(go.invoke('Echo', [[largest, Buffer.of(1)]])), {
      code: 'RESOURCE_EXHAUSTED',
      message: 'grpc: received message larger than max (4194305 vs. 4194304)',
    });
    await assert.rejects(all(go.invoke('Large')), {
      code: 'RESOURCE_EXHAUSTED',
      message: 'grpc: received message larger than max (5000000 vs. 4194304)',
    });
    assert.equal((await only(go.invoke('Echo'))).length, 0);
  },
);

testSessions('our client decompresses gzip of a grpc-go server', { skip }, async (openSession) => {
  await using go = await goServer(openSession);

  const call = go.invoke('Gzip');

  assert.deepEqual(await only(call), Buffer.alloc(1_000_000));
  assert.equal((await call.headers).get('grpc-encoding'), 'gzip');
});

testSessions('our client sends 100 MB to a grpc-go server and back', { skip }, async (openSession) => {
  await using go = await goServer(openSession);
  const chunk = Buffer.alloc(128 * 1024, 5);

  let bytes = 0;
  const requests = (function* () {
    for (let i = 0; i < 800; i++) yield chunk;
  })();
  for await (const message of go.invoke('Echo', requests)) bytes += message.length;

  assert.equal(bytes, 800 * chunk.length);
});

testSessions('our client stops a grpc-go server by not reading', { skip }, async (openSession) => {
  await using go = await goServer(openSession);
  const call = go.invoke('Flood');
  await call.headers;

  const produced = await steady(async () => (await go.counters()).produced);

  assert.ok(produced < 100, `${produced} messages were made ahead`);
  call.cancel();
});

testSessions(
  'our client stops sending when a grpc-go server has responded',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);
    let isReleased = false;
    const endless = (async function* () {
      try {
        for (;;) {
          yield Buffer.alloc(100_000);
          await delay(1); // lets the response arrive
        }
      } finally {
        isReleased = true;
      }
    })();

    await assert.rejects(all(go.invoke('Early', endless)), {
      code: 'INVALID_ARGUMENT',
      message: 'not a word more',
    });
    await until(() => isReleased);
  },
);

testSessions('our client has 200 running calls on a grpc-go server', { skip }, async (openSession) => {
  await using go = await goServer(openSession);

  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => only(go.invoke('Echo', [Buffer.from(String(i))]))),
  );

  assert.deepEqual(
    answers.map(String),
    Array.from({ length: 200 }, (_, i) => String(i)),
  );
});

testSessions(
  'our client reports a grpc-go server that dies as unavailable',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);

    await assert.rejects(all(go.invoke('Exit')), { code: 'UNAVAILABLE' });
    await go.channel.closed;
  },
);

testSessions(
  'our client finishes its call while a grpc-go server stops gracefully',
  { skip },
  async (openSession) => {
    await using go = await goServer(openSession);
    const requests = (async function* () {
      yield Buffer.from('0');
      await until(() => go.channel.state !== 'ready');
      for (let i = 1; i < 5; i++) yield Buffer.from(String(i));
    })();

    assert.deepEqual((await all(go.invoke('Drain', requests))).map(String), ['0', '1', '2', '3', '4']);
    await go.channel.closed;
  },
);
