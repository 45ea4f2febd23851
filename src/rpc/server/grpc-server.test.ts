import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { create, isMessage } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { unpackDetails } from '#rpc/common/typed-details';
import { all, connectTo, only, TEST_PEER } from '#testkit/clients/in-process-rpc';
import { until } from '#testkit/until';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { methodInfo } from '#wire/method-info';
import { GrpcServer } from './grpc-server.ts';
import { serve } from './handler.ts';
import type { CallStage } from './server-call.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);
const receivePack = callable(SSHService.method.sSHReceivePack);
const restoreCustomHooks = callable(RepositoryService.method.restoreCustomHooks);

test('all four kinds of methods carry messages', async () => {
  await using server = connectTo({
    services: [
      serve(CommitService, { findCommit: ({ revision }) => ({ commit: { id: 'abc', subject: revision } }) }),
      serve(BlobService, {
        getBlob: async function* ({ limit }) {
          for (let i = 0n; i < limit; i++) yield { size: i };
        },
      }),
      serve(RepositoryService, {
        restoreCustomHooks: async (requests) => {
          assert.equal((await all(requests)).length, 3);
          return {};
        },
      }),
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          for await (const { stdin } of requests) yield { stdout: stdin };
        },
      }),
    ],
  });
  const { channel } = server;

  assert.equal((await only(channel.invoke(findCommit, [{ revision: Buffer.from('x') }]))).commit?.id, 'abc');
  assert.deepEqual(
    (await all(channel.invoke(getBlob, [{ limit: 3n }]))).map(({ size }) => size),
    [0n, 1n, 2n],
  );
  await only(
    channel.invoke(restoreCustomHooks, [{}, { data: Buffer.from('a') }, { data: Buffer.from('b') }]),
  );
  const echoed = await all(
    channel.invoke(receivePack, [{ stdin: Buffer.from('a') }, { stdin: Buffer.alloc(1_000_000, 1) }]),
  );
  assert.deepEqual(
    echoed.map(({ stdout }) => stdout.length),
    [1, 1_000_000],
  );
});

test('an error reaches the client with code, message and details', async () => {
  const detail = create(LimitErrorSchema, { errorMessage: 'too many' });
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: () => {
          throw new GitalyError('RESOURCE_EXHAUSTED', 'grün: 100%', { details: [detail] });
        },
      }),
    ],
  });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), (error: GitalyError) => {
    assert.deepEqual([error.code, error.message], ['RESOURCE_EXHAUSTED', 'grün: 100%']);
    assert.deepEqual(unpackDetails(error.details), [detail]);
    return true;
  });
});

test('an error after messages reaches the client after them', async () => {
  await using server = connectTo({
    services: [
      serve(BlobService, {
        getBlob: async function* () {
          yield { size: 1n };
          throw new Error('plain');
        },
      }),
    ],
  });
  const sizes: bigint[] = [];

  await assert.rejects(
    async () => {
      for await (const { size } of server.channel.invoke(getBlob, [{}])) sizes.push(size);
    },
    { code: 'UNKNOWN', message: 'plain' },
  );
  assert.deepEqual(sizes, [1n]);
});

test('a status too large for the peer loses the ends of its texts, not its code or its details', async () => {
  const detail = create(LimitErrorSchema, { errorMessage: 'x'.repeat(100_000) });
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: ({ revision }) => {
          throw new GitalyError('NOT_FOUND', 'y'.repeat(revision.length === 0 ? 10 : 100_000), {
            details: [detail],
          });
        },
      }),
    ],
  });

  for (const [revision, messageBytes] of [
    [Buffer.alloc(0), 10],
    [Buffer.of(1), 15_000],
  ] as const) {
    await assert.rejects(only(server.channel.invoke(findCommit, [{ revision }])), (error) => {
      assert.ok(error instanceof GitalyError);
      assert.equal(error.code, 'NOT_FOUND');
      assert.ok(/^y+$/.test(error.message) && error.message.length >= messageBytes);
      const [arrived] = unpackDetails(error.details);
      assert.ok(isMessage(arrived, LimitErrorSchema));
      assert.ok(/^x{15000,}$/.test(arrived.errorMessage));
      return true;
    });
  }
});

test('metadata is sent in both directions, bytes included', async () => {
  let seen: [string, string | Buffer][] = [];
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: (_request, { headers, trailers }) => {
          seen = [...headers.entries()].filter(([key]) => key.startsWith('x-'));
          trailers.append('x-cost', '1');
          trailers.append('x-cost', '2');
          trailers.set('x-raw-bin', Buffer.of(0, 255));
          return {};
        },
      }),
    ],
  });

  const call = server.channel.invoke(findCommit, [{}], {
    metadata: { 'x-id': ['1', '2'], 'x-bytes-bin': Buffer.of(255, 0) },
  });
  await only(call);
  const trailers = await call.trailers;

  assert.deepEqual(seen, [
    ['x-id', '1'],
    ['x-id', '2'],
    ['x-bytes-bin', Buffer.of(255, 0)],
  ]);
  assert.deepEqual(trailers.getAll('x-cost'), ['1', '2']);
  assert.deepEqual(trailers.getBytes('x-raw-bin'), Buffer.of(0, 255));
  assert.equal((await call.headers).get('content-type'), 'application/grpc');
});

test('messages above the limit are refused on both sides, and messages below it pass', async () => {
  const services = [
    serve(SSHService, {
      sSHReceivePack: async function* (requests) {
        for await (const { stdin } of requests) yield { stdout: stdin };
      },
    }),
  ];
  await using strictServer = connectTo({ services, maxReceiveMessageBytes: 1000 });
  await using strictClient = connectTo({ services }, { maxReceiveMessageBytes: 1000 });
  await using standard = connectTo({ services });
  const refusal = {
    code: 'RESOURCE_EXHAUSTED',
    message: 'grpc: received message larger than max (1003 vs. 1000)',
  };

  await assert.rejects(
    only(strictServer.channel.invoke(receivePack, [{ stdin: Buffer.alloc(1000) }])),
    refusal,
  );
  await assert.rejects(
    only(strictClient.channel.invoke(receivePack, [{ stdin: Buffer.alloc(1000) }])),
    refusal,
  );
  const largest = 4_194_304 - 5;
  assert.equal(
    (await only(standard.channel.invoke(receivePack, [{ stdin: Buffer.alloc(largest) }]))).stdout.length,
    largest,
  );
  await assert.rejects(only(standard.channel.invoke(receivePack, [{ stdin: Buffer.alloc(largest + 1) }])), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'grpc: received message larger than max (4194305 vs. 4194304)',
  });
});

test('unknown services and methods, and methods without a handler, are unimplemented', async () => {
  await using server = connectTo({ services: [serve(CommitService, {})] });
  const ask = (path: string) => only(server.channel.invokeRaw({ path, kind: 'unary' }, [Buffer.alloc(0)]));

  await assert.rejects(ask('/gitaly.X/Y'), { code: 'UNIMPLEMENTED', message: 'unknown service gitaly.X' });
  await assert.rejects(ask('/gitaly.CommitService/Y'), {
    code: 'UNIMPLEMENTED',
    message: 'unknown method Y for service gitaly.CommitService',
  });
  await assert.rejects(ask('/gitaly.CommitService/FindCommit'), {
    code: 'UNIMPLEMENTED',
    message: 'unknown method FindCommit for service gitaly.CommitService',
  });
  await assert.rejects(ask('/nonsense'), {
    code: 'UNIMPLEMENTED',
    message: 'malformed method name: "/nonsense"',
  });
});

test('a malformed request and a missing one are the errors of grpc-go', async () => {
  const nothing = async function* () {};
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => ({}) }), serve(BlobService, { getBlob: nothing })],
  });

  await assert.rejects(only(server.channel.invokeRaw(findCommit, [Buffer.of(0xff)])), {
    code: 'INTERNAL',
    message: /^grpc: error unmarshalling request: /,
  });
  // grpc-go has another text if the handler reads the messages.
  await assert.rejects(all(server.channel.invokeRaw(getBlob, [Buffer.of(0xff)])), {
    code: 'INTERNAL',
    message: /^grpc: failed to unmarshal the received message: /,
  });
  // Without a code, because grpc-go reads the request of a unary call before it starts the call.
  await assert.rejects(only(server.channel.invokeRaw(findCommit, [])), { code: 'UNKNOWN', message: 'EOF' });
  await assert.rejects(all(server.channel.invokeRaw(getBlob, [])), {
    code: 'INTERNAL',
    message: /received no request message/,
  });
});

test('interceptors nest, see messages and sizes, add trailers and determine the status', async () => {
  const seen: unknown[] = [];
  await using server = connectTo({
    services: [
      serve(CommitService, { findCommit: (_request, context) => context.log.add({ handled: true }) ?? {} }),
    ],
    interceptors: [
      (begun) => {
        seen.push('outer begin', begun.requestMessages);
        return {
          request: ({ targets }) => void seen.push(['request', targets?.repository?.relativePath]),
          end(call, failure) {
            call.context.trailers.set('x-cost', '7');
            const { requestMessages, requestBytes, responseMessages, logFields } = call;
            seen.push(['outer end', failure, requestMessages, requestBytes, responseMessages, logFields]);
          },
        };
      },
      (call) => {
        if (call.headers.get('x-refuse') !== undefined)
          throw new GitalyError('UNAUTHENTICATED', 'authentication required');
        return { end: () => void seen.push('inner end') };
      },
    ],
  });

  const call = server.channel.invoke(findCommit, [{ repository: { relativePath: 'a' } }]);
  await only(call);
  const seenOfFirst = seen.splice(0);
  const refused = server.channel.invoke(findCommit, [{}], { metadata: { 'x-refuse': '1' } });
  await assert.rejects(only(refused), { code: 'UNAUTHENTICATED', message: 'authentication required' });

  assert.deepEqual(seenOfFirst, [
    'outer begin',
    0,
    ['request', 'a'],
    'inner end',
    ['outer end', undefined, 1, 5, 1, { handled: true }],
  ]);
  assert.equal((await call.trailers).get('x-cost'), '7');
  assert.equal((await refused.trailers).get('x-cost'), '7');
});

test('an interceptor that fails after the handler withholds the response', async () => {
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => ({}) })],
    interceptors: [
      () => ({
        end() {
          throw new GitalyError('ABORTED', 'no');
        },
      }),
    ],
  });

  await assert.rejects(all(server.channel.invoke(findCommit, [{}])), { code: 'ABORTED', message: 'no' });
});

test('the handler runs in the asynchronous context of a stage, whether the stage waits or not', async () => {
  const names = new AsyncLocalStorage<string>();
  for (const isWaiting of [false, true]) {
    const stage: CallStage = { within: (run) => names.run('ours', run) };
    await using server = connectTo({
      services: [
        serve(CommitService, { findCommit: () => ({ commit: { id: names.getStore() ?? 'none' } }) }),
      ],
      interceptors: [() => (isWaiting ? Promise.resolve(stage) : stage), async () => ({})],
    });

    const { commit } = await only(server.channel.invoke(findCommit, [{}]));

    assert.equal(commit?.id, 'ours');
  }
});

test('a stage can refuse the first request', async () => {
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => assert.fail('not reached') })],
    interceptors: [
      () => ({ request: () => Promise.reject(new GitalyError('NOT_FOUND', 'no such storage')) }),
    ],
  });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
    code: 'NOT_FOUND',
    message: 'no such storage',
  });
});

test('opaque messages pass through an unknown method, which is looked up once', async () => {
  const lookups: string[] = [];
  await using server = connectTo({
    services: [],
    unknownMethod: (path) => {
      lookups.push(path);
      if (path !== receivePack.path) return undefined;
      return {
        method: methodInfo(SSHService.method.sSHReceivePack),
        handler: async function* (requests) {
          for await (const request of requests)
            yield [Buffer.from('<'), request, Buffer.alloc(50_000, 1), Buffer.from('>')];
        },
      };
    },
  });

  const responses = await all(
    server.channel.invokeRaw(receivePack, [Buffer.from('a'), [Buffer.from('b'), Buffer.from('c')]]),
  );

  assert.deepEqual(
    responses.map((response) => [response.length, response.subarray(0, 3).toString()]),
    [
      [50_003, '<a\x01'],
      [50_004, '<bc'],
    ],
  );

  await all(server.channel.invokeRaw(receivePack, [Buffer.from('a')]));
  assert.deepEqual(lookups, [receivePack.path]);
});

test('a connection that has ended is not served, and one that fails is reported with its peer', async () => {
  const problems: unknown[] = [];
  const server = new GrpcServer({
    services: [],
    onConnectionError: ({ message }, peer) => problems.push(message, peer),
  });
  const [gone] = duplexPair();
  gone.destroy();
  server.serveConnection(gone, TEST_PEER);
  assert.equal(server.connections, 0);

  const [client, connection] = duplexPair();
  client.resume();
  server.serveConnection(connection, TEST_PEER);
  assert.equal(server.connections, 1);
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(connection, 'close');
  await until(() => server.connections === 0);

  assert.match(String(problems[0]), /bad client magic|protocol error/i);
  assert.deepEqual(problems.slice(1), [TEST_PEER]);
});

test('a ping measures the connection', async () => {
  await using server = connectTo({ services: [] });

  assert.ok((await server.channel.ping()) < 1000);
  server.channel.destroy();
  await assert.rejects(server.channel.ping(), { code: 'UNAVAILABLE' });
});
