import assert from 'node:assert/strict';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { GitalyError } from '#base/gitaly-error';
import { connectGrpc, type GrpcChannel, type OpenSession } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { statusError } from '#rpc/common/status-details';
import { unpackDetails } from '#rpc/common/typed-details';
import { all, listen, only } from '#testkit/clients/in-process-rpc';
import { testSessions } from '#testkit/clients/test-sessions';
import { steady, until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { serve } from './handler.ts';

/** Returns grpc-js's description of a generated method. */
function definition<M extends DescMethod>(method: M) {
  type Input = MessageShape<M['input']>;
  type Output = MessageShape<M['output']>;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: (message: MessageInitShape<M['input']>) =>
      Buffer.from(toBinary(method.input, create(method.input, message))),
    // fromBinary returns the shape of the given descriptor
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes) as Input,
    responseSerialize: (message: MessageInitShape<M['output']>) =>
      Buffer.from(toBinary(method.output, create(method.output, message))),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes) as Output,
  };
}

const findCommit = definition(CommitService.method.findCommit);
const restoreCustomHooks = definition(RepositoryService.method.restoreCustomHooks);
const receivePack = definition(SSHService.method.sSHReceivePack);
const DETAIL = create(LimitErrorSchema, { errorMessage: 'too many' });

// --- grpc-js as the client of our server
// -----------------------------------------------------------------------------------

const states = { waiting: 0, aborted: [] as unknown[], produced: 0 };

const OUR_SERVICES = [
  serve(CommitService, {
    findCommit: async ({ revision }, { headers, trailers, signal }) => {
      const what = Buffer.from(revision).toString();
      if (what === 'fail') throw new GitalyError('NOT_FOUND', 'grün: 100%', { details: [DETAIL] });
      if (what === 'wait') {
        states.waiting++;
        // On a busy machine the deadline has passed before.
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
        states.aborted.push(signal.reason);
        throw signal.reason;
      }
      trailers.set('x-echo', headers.getAll('x-id').join('|'));
      trailers.set('x-echo-bin', headers.getBytes('x-raw-bin') ?? Buffer.alloc(0));
      return { commit: { id: 'abc', body: Buffer.alloc(what === 'large' ? 3_000_000 : 1, 1) } };
    },
  }),
  serve(RepositoryService, {
    restoreCustomHooks: async (requests) => {
      for await (const { data } of requests)
        if (data.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'empty data');
      return {};
    },
  }),
  serve(SSHService, {
    sSHReceivePack: async function* (requests, { signal }) {
      signal.addEventListener('abort', () => states.aborted.push(signal.reason));
      for await (const { stdin } of requests) {
        if (Buffer.from(stdin).toString() === 'flood') {
          for (states.produced = 0; ; states.produced++) yield { stdout: Buffer.alloc(100_000) };
        }
        yield { stdout: stdin };
      }
      yield { exitStatus: { value: 7 } };
    },
  }),
];

interface JsClient extends AsyncDisposable {
  readonly client: grpc.Client;
  unary(
    revision: string,
    options?: { metadata?: grpc.Metadata; call?: grpc.CallOptions },
  ): Promise<UnaryResult>;
  bidi(): grpc.ClientDuplexStream<
    MessageInitShape<typeof SSHService.method.sSHReceivePack.input>,
    MessageShape<typeof SSHService.method.sSHReceivePack.output>
  >;
}

interface UnaryResult {
  readonly error: grpc.ServiceError | null;
  readonly response: MessageShape<typeof CommitService.method.findCommit.output> | undefined;
  readonly status: grpc.StatusObject;
}

async function jsClient(options: grpc.ClientOptions = {}): Promise<JsClient> {
  states.aborted = [];
  states.waiting = 0;
  const server = await listen({ services: OUR_SERVICES });
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    ...options,
  });
  return {
    client,
    unary: (revision, { metadata = new grpc.Metadata(), call: options = {} } = {}) =>
      new Promise((resolve) => {
        let answer: [grpc.ServiceError | null, UnaryResult['response']] = [null, undefined];
        client
          .makeUnaryRequest(
            findCommit.path,
            findCommit.requestSerialize,
            findCommit.responseDeserialize,
            { revision: Buffer.from(revision) },
            metadata,
            options,
            (error, response) => {
              answer = [error, response];
            },
          )
          .on('status', (status) =>
            setImmediate(() => resolve({ error: answer[0], response: answer[1], status })),
          );
      }),
    bidi: () =>
      client.makeBidiStreamRequest(
        receivePack.path,
        receivePack.requestSerialize,
        receivePack.responseDeserialize,
      ),
    [Symbol.asyncDispose]: async () => {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('grpc-js client: unary call with metadata and trailers, bytes included', async () => {
  await using js = await jsClient();
  const metadata = new grpc.Metadata();
  metadata.add('x-id', '1');
  metadata.add('x-id', '2');
  metadata.set('x-raw-bin', Buffer.of(0, 255, 1));

  const { response, status } = await js.unary('x', { metadata });

  assert.equal(response?.commit?.id, 'abc');
  assert.deepEqual(status.metadata.get('x-echo'), ['1|2']);
  assert.deepEqual(status.metadata.get('x-echo-bin'), [Buffer.of(0, 255, 1)]);
});

test('grpc-js client: an error is trailers-only with details', async () => {
  await using js = await jsClient();

  const { error } = await js.unary('fail');

  assert.deepEqual([error?.code, error?.details], [grpc.status.NOT_FOUND, 'grün: 100%']);
  const [details] = error?.metadata.get('grpc-status-details-bin') ?? [];
  assert.ok(Buffer.isBuffer(details));
  assert.deepEqual(unpackDetails(statusError('NOT_FOUND', '', details).details), [DETAIL]);
});

test('grpc-js client: deadline and cancellation reach the handler', async () => {
  await using js = await jsClient();

  const { error } = await js.unary('wait', { call: { deadline: Date.now() + 50 } });
  assert.equal(error?.code, grpc.status.DEADLINE_EXCEEDED);

  const call = js.client.makeUnaryRequest(
    findCommit.path,
    findCommit.requestSerialize,
    findCommit.responseDeserialize,
    { revision: Buffer.from('wait') },
    () => {},
  );
  const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
  await until(() => states.waiting === 2);
  call.cancel();
  assert.equal((await status).code, grpc.status.CANCELLED);
  await until(() => states.aborted.length >= 2);
  assert.deepEqual(states.aborted[1], new GitalyError('CANCELLED', 'context canceled'));
});

test('grpc-js client: large messages both ways, and the limit', async () => {
  await using js = await jsClient();

  assert.equal((await js.unary('large')).response?.commit?.body.length, 3_000_000);
  const { error } = await js.unary('x'.repeat(4_194_304));
  assert.deepEqual(
    [error?.code, error?.details],
    [grpc.status.RESOURCE_EXHAUSTED, 'grpc: received message larger than max (4194309 vs. 4194304)'],
  );
});

test('grpc-js client: gzip requests are decompressed', async () => {
  await using js = await jsClient({ 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip });

  assert.equal((await js.unary('x')).response?.commit?.id, 'abc');
  assert.equal((await js.unary('fail')).error?.code, grpc.status.NOT_FOUND);
});

test('grpc-js client: a half-closed stream still receives its responses', async () => {
  await using js = await jsClient();
  const call = js.bidi();
  const seen: unknown[] = [];
  call.on('data', (message) =>
    seen.push(message.exitStatus?.value ?? Buffer.from(message.stdout).toString()),
  );

  call.write({ stdin: Buffer.from('a') });
  call.write({ stdin: Buffer.from('b') });
  call.end();
  const status = await new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));

  assert.deepEqual(seen, ['a', 'b', 7]);
  assert.equal(status.code, grpc.status.OK);
});

test('grpc-js client: a slow reader stops our generator, and a reader that stops early ends it', async () => {
  await using js = await jsClient();
  const call = js.bidi();
  call.on('error', () => {});
  call.write({ stdin: Buffer.from('flood') });
  await new Promise((resolve) => call.once('readable', resolve));

  const ahead = await steady(() => states.produced);
  assert.ok(ahead * 100_000 < 10_000_000, `${ahead} messages were made ahead`);
  call.cancel();

  await until(() => states.aborted.length > 0);
});

test('grpc-js client: a server that responds before it has read everything', async () => {
  await using js = await jsClient();
  const answered = Promise.withResolvers<grpc.ServiceError | null>();
  const call = js.client.makeClientStreamRequest(
    restoreCustomHooks.path,
    restoreCustomHooks.requestSerialize,
    restoreCustomHooks.responseDeserialize,
    (error) => answered.resolve(error),
  );
  const timer = setInterval(() => call.write({ data: Buffer.alloc(0) }), 1);

  const error = await answered.promise;
  clearInterval(timer);

  assert.deepEqual([error?.code, error?.details], [grpc.status.INVALID_ARGUMENT, 'empty data']);
});

test('grpc-js client: many calls at once on one connection', async () => {
  await using js = await jsClient();

  const results = await Promise.all(
    Array.from({ length: 500 }, (_, i) => js.unary(i % 2 === 0 ? 'x' : 'fail')),
  );

  assert.equal(results.filter(({ response }) => response?.commit?.id === 'abc').length, 250);
});

// --- our client with a grpc-js server
// --------------------------------------------------------------------------------------

interface JsServer extends AsyncDisposable {
  readonly channel: GrpcChannel;
  readonly server: grpc.Server;
}

async function jsServer(openSession: OpenSession): Promise<JsServer> {
  states.aborted = [];
  states.waiting = 0;
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  type FindCommit = typeof CommitService.method.findCommit;
  type ReceivePack = typeof SSHService.method.sSHReceivePack;
  server.addService(
    { findCommit },
    {
      findCommit: (
        call: grpc.ServerUnaryCall<MessageShape<FindCommit['input']>, MessageInitShape<FindCommit['output']>>,
        callback: grpc.sendUnaryData<MessageInitShape<FindCommit['output']>>,
      ) => {
        const what = Buffer.from(call.request.revision).toString();
        call.on('cancelled', () => states.aborted.push(what));
        if (what === 'wait') {
          states.waiting++;
          return;
        }
        const trailers = new grpc.Metadata();
        if (what === 'fail') {
          callback({ code: grpc.status.NOT_FOUND, details: 'grün: 100%', metadata: trailers });
          return;
        }
        const initial = new grpc.Metadata();
        for (const id of call.metadata.get('x-id')) initial.add('x-echo', id);
        call.sendMetadata(initial);
        for (const value of call.metadata.get('x-raw-bin')) trailers.add('x-echo-bin', value);
        callback(
          null,
          { commit: { id: 'abc', body: Buffer.alloc(what === 'large' ? 5_000_000 : 1000) } },
          trailers,
        );
      },
    },
  );
  server.addService(
    { receivePack },
    {
      receivePack: (
        call: grpc.ServerDuplexStream<
          MessageShape<ReceivePack['input']>,
          MessageInitShape<ReceivePack['output']>
        >,
      ) => {
        call.on('cancelled', () => states.aborted.push('stream'));
        call.on('error', () => {});
        call.on('data', ({ stdin }) => {
          if (!call.write({ stdout: stdin })) {
            call.pause();
            call.once('drain', () => call.resume());
          }
        });
        call.on('end', () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const channel = connectGrpc(dial(port, '127.0.0.1'), { openSession });
  return {
    channel,
    server,
    [Symbol.asyncDispose]: async () => {
      channel.destroy();
      server.forceShutdown();
    },
  };
}

const ourFindCommit = callable(CommitService.method.findCommit);
const ourReceivePack = callable(SSHService.method.sSHReceivePack);

testSessions(
  'grpc-js server: unary call with metadata, initial metadata and trailers',
  {},
  async (openSession) => {
    await using js = await jsServer(openSession);

    const call = js.channel.invoke(ourFindCommit, [{}], {
      metadata: { 'x-id': ['1', '2'], 'x-raw-bin': Buffer.of(0, 255, 1) },
    });
    const { commit } = await only(call);

    assert.equal(commit?.id, 'abc');
    assert.equal((await call.headers).getAll('x-echo').join(', '), '1, 2');
    assert.deepEqual((await call.trailers).getBytes('x-echo-bin'), Buffer.of(0, 255, 1));
  },
);

testSessions('grpc-js server: errors and unknown methods', {}, async (openSession) => {
  await using js = await jsServer(openSession);

  await assert.rejects(only(js.channel.invoke(ourFindCommit, [{ revision: Buffer.from('fail') }])), {
    code: 'NOT_FOUND',
    message: 'grün: 100%',
  });
  await assert.rejects(only(js.channel.invoke(callable(CommitService.method.listCommits), [{}])), {
    code: 'UNIMPLEMENTED',
  });
});

testSessions('grpc-js server: deadline and cancellation reach the server', {}, async (openSession) => {
  await using js = await jsServer(openSession);

  await assert.rejects(
    only(js.channel.invoke(ourFindCommit, [{ revision: Buffer.from('wait') }], { timeoutMs: 50 })),
    {
      code: 'DEADLINE_EXCEEDED',
    },
  );
  await assert.rejects(
    only(
      js.channel.invoke(ourFindCommit, [{ revision: Buffer.from('wait') }], {
        signal: AbortSignal.timeout(50),
      }),
    ),
    { code: 'CANCELLED' },
  );
  await until(() => states.aborted.length >= 2);
});

testSessions('grpc-js server: the limit on received messages', {}, async (openSession) => {
  await using js = await jsServer(openSession);

  await assert.rejects(only(js.channel.invoke(ourFindCommit, [{ revision: Buffer.from('large') }])), {
    code: 'RESOURCE_EXHAUSTED',
    message: /^grpc: received message larger than max \(50000\d\d vs\. 4194304\)$/,
  });
});

testSessions('grpc-js server: large streams both ways with back-pressure', {}, async (openSession) => {
  await using js = await jsServer(openSession);
  const chunk = Buffer.alloc(128 * 1024, 3);

  let bytes = 0;
  const requests = (function* () {
    for (let i = 0; i < 200; i++) yield { stdin: chunk };
  })();
  for await (const { stdout } of js.channel.invoke(ourReceivePack, requests)) bytes += stdout.length;

  assert.equal(bytes, 200 * chunk.length);
});

testSessions('grpc-js server: breaking out of the loop cancels', {}, async (openSession) => {
  await using js = await jsServer(openSession);
  const endless = (async function* () {
    for (;;) {
      yield { stdin: Buffer.from('x') };
      await delay(1); // lets the server abort between two messages
    }
  })();

  for await (const _ of js.channel.invoke(ourReceivePack, endless)) break;

  await until(() => states.aborted.length > 0);
});

testSessions('grpc-js server: calls fail as unavailable when it disconnects', {}, async (openSession) => {
  await using js = await jsServer(openSession);
  const call = js.channel.invoke(ourFindCommit, [{ revision: Buffer.from('wait') }]);
  const failed = assert.rejects(all(call), { code: 'UNAVAILABLE' });
  await until(() => states.waiting === 1);

  js.server.forceShutdown();

  await failed;
  await js.channel.closed;
  await assert.rejects(only(js.channel.invoke(ourFindCommit, [{}])), { code: 'UNAVAILABLE' });
});

testSessions('grpc-js server: a graceful stop lets the running call finish', {}, async (openSession) => {
  await using js = await jsServer(openSession);
  const gate = Promise.withResolvers<void>();
  const responses: number[] = [];
  const call = js.channel.invoke(
    ourReceivePack,
    (async function* () {
      yield { stdin: Buffer.from('a') };
      await gate.promise;
      yield { stdin: Buffer.from('b') };
    })(),
  );

  for await (const { stdout } of call) {
    responses.push(stdout.length);
    if (responses.length > 1) continue;
    js.server.tryShutdown(() => {});
    await until(() => js.channel.state !== 'ready');
    gate.resolve();
  }

  assert.deepEqual(responses, [1, 1]);
  await js.channel.closed;
});
