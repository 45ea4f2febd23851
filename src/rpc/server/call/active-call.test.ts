import assert from 'node:assert/strict';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import { all, connectTo, only, TEST_PEER } from '#testkit/clients/in-process-rpc';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { openTimers } from '#testkit/measure/open-timers';
import { until } from '#testkit/until';
import { BlobService, GetBlobResponseSchema } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { GrpcServer, type GrpcServerOptions } from '../grpc-server.ts';
import { serve } from '../handler.ts';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);
const receivePack = callable(SSHService.method.sSHReceivePack);
const EMPTY = Buffer.alloc(5);

/** A client of HTTP/2 in memory, which sees headers, resets and what is not sent. */
function rawClient(options: GrpcServerOptions) {
  const [near, far] = duplexPair();
  const server = new GrpcServer(options);
  server.serveConnection(far, TEST_PEER);
  const session: ClientHttp2Session = connectHttp2('http://localhost', { createConnection: () => near });
  session.on('error', () => {});
  return {
    server,
    session,
    begin: (path: string, headers: OutgoingHttpHeaders = {}) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      return { stream, ...received(stream) };
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      await server.shutdown({ graceMs: 0 });
    },
  };
}

/** Collects what arrives on a stream. */
function received(stream: ClientHttp2Stream) {
  const headers: IncomingHttpHeaders = {};
  const trailers: IncomingHttpHeaders = {};
  const closed = new Promise<number>((resolve) => stream.once('close', () => resolve(stream.rstCode)));
  stream.on('response', (each) => Object.assign(headers, each));
  stream.on('trailers', (each) => Object.assign(trailers, each));
  stream.on('error', () => {});
  return { headers, trailers, closed };
}

/** Records the ends of calls. */
function recorded(errors: unknown[]): ServerInterceptor {
  return () => ({ end: (_call, failure) => void errors.push(failure) });
}

test('metadata of one response are not those of the next, and no response has a date', async () => {
  await using client = rawClient({
    services: [
      serve(CommitService, {
        findCommit: (_request, { headers, responseHeaders, trailers }) => {
          if (!headers.has('x-all')) return {};
          responseHeaders.set('x-head', '1');
          trailers.set('x-tail', '2');
          return {};
        },
      }),
    ],
  });

  for (const extra of [{ 'x-all': '1' }, {}]) {
    const call = client.begin(findCommit.path, extra);
    call.stream.resume().end(EMPTY);
    await call.closed;

    const hasExtra = 'x-all' in extra;
    assert.equal(call.headers['x-head'], hasExtra ? '1' : undefined);
    assert.equal(call.trailers['x-tail'], hasExtra ? '2' : undefined);
    assert.equal(call.trailers['grpc-status'], '0');
    assert.equal('date' in call.headers, false);
  }
  const refused = client.begin('/x.Y/Z');
  refused.stream.resume().end();
  await refused.closed;
  assert.deepEqual([refused.headers['grpc-status'], 'date' in refused.headers], ['12', false]);
});

test('an error after messages comes with the trailers of the handler', async () => {
  await using client = rawClient({
    services: [
      serve(BlobService, {
        getBlob: async function* (_request, { trailers }) {
          trailers.set('x-tail', '2');
          yield { size: 1n };
          throw new GitalyError('NOT_FOUND', 'gone');
        },
      }),
    ],
  });
  const call = client.begin(getBlob.path);
  call.stream.resume().end(EMPTY);
  await call.closed;

  const { 'grpc-status': status, 'grpc-message': message, 'x-tail': tail } = call.trailers;
  assert.deepEqual([status, message, tail], ['5', 'gone', '2']);
});

// The client would wait for ever.
test('a call whose status cannot be encoded is reset with INTERNAL_ERROR', async () => {
  let ended = 0;
  // Code in JavaScript may throw what the type forbids.
  const broken = Object.assign(new GitalyError('NOT_FOUND', ''), { message: 5 });
  await using client = rawClient({
    services: [
      serve(CommitService, {
        findCommit: () => {
          throw broken;
        },
      }),
    ],
    interceptors: [() => ({ end: () => void ended++ })],
  });
  const call = client.begin(findCommit.path);
  call.stream.resume().end(EMPTY);

  assert.equal(await call.closed, 2);
  assert.deepEqual([ended, client.server.activeCalls], [1, 0]);
});

test('a client that still sends after the status is told to stop, without an error', async () => {
  await using client = rawClient({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* () {
          yield { stdout: Buffer.from('bye') };
        },
      }),
    ],
  });

  for (const path of [receivePack.path, '/x.Y/Z']) {
    const call = client.begin(path);
    call.stream.write(EMPTY);
    call.stream.resume();

    assert.equal(await call.closed, 0);
    assert.ok(call.trailers['grpc-status'] ?? call.headers['grpc-status']);
  }
});

test('a deadline ends a call whose handler waits for requests', async () => {
  await using client = rawClient({
    services: [
      serve(RepositoryService, {
        restoreCustomHooks: async (requests) => {
          await all(requests);
          return {};
        },
      }),
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          await all(requests);
          yield {};
        },
      }),
    ],
  });

  for (const path of ['/gitaly.RepositoryService/RestoreCustomHooks', receivePack.path]) {
    const call = client.begin(path, { 'grpc-timeout': '30m' });
    call.stream.resume().write(EMPTY);
    await call.closed;

    assert.equal(call.headers['grpc-status'], '4', path);
  }
});

test('malformed requests are refused with the texts of Go', async () => {
  await using server = connectTo({
    services: [
      serve(CommitService, { findCommit: () => ({}) }),
      serve(BlobService, { getBlob: async function* () {} }),
    ],
  });
  const [noUtf8, broken] = [Buffer.from([0x0a, 0x03, 0x12, 0x01, 0xff]), Buffer.of(0xff)];

  for (const [method, bytes, message] of [
    [findCommit, noUtf8, 'grpc: error unmarshalling request: string field contains invalid UTF-8'],
    [findCommit, broken, 'grpc: error unmarshalling request: proto: cannot parse invalid wire-format data'],
    [
      getBlob,
      broken,
      'grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data',
    ],
  ] as const)
    await assert.rejects(all<unknown>(server.channel.invokeRaw(method, [bytes])), {
      code: 'INTERNAL',
      message,
    });
});

test('an error without a code is UNKNOWN with Go’s text, or has the code of the abort', async () => {
  const errors: unknown[] = [];
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async ({ revision }, { signal }) => {
          if (revision.length > 0) await new Promise((resolve) => signal.addEventListener('abort', resolve));
          throw Object.assign(new Error("ENOENT: no such file, open '/x'"), {
            code: 'ENOENT',
            errno: -2,
            syscall: 'open',
            path: '/x',
          });
        },
      }),
    ],
    interceptors: [
      (call) => ({
        end: (_call, failure) =>
          void errors.push([failure instanceof GitalyError, call.context.abortReason?.code]),
      }),
    ],
  });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
    code: 'UNKNOWN',
    message: 'open /x: no such file or directory',
  });
  const late = server.channel.invoke(findCommit, [{ revision: Buffer.from('x') }], { timeoutMs: 50 });
  await assert.rejects(only(late), { code: 'DEADLINE_EXCEEDED' });
  await until(() => errors.length === 2);
});

test('a call is failed once, its stages see that error alone, and the handler is aborted', async () => {
  const errors: unknown[] = [];
  const begun = Promise.withResolvers<ServerCall>();
  const gate = Promise.withResolvers<void>();
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async (_request, { signal }) => {
          await gate.promise;
          throw signal.reason;
        },
      }),
    ],
    interceptors: [
      (call) => {
        begun.resolve(call);
        return undefined;
      },
      recorded(errors),
    ],
  });
  const outcome = only(server.channel.invoke(findCommit, [{}]));
  outcome.catch(() => {});
  const call = await begun.promise;
  await settle();
  const [error, other] = [new GitalyError('DATA_LOSS', 'one'), new GitalyError('ABORTED', 'other')];

  const results = [call.fail(error), call.fail(other)];
  assert.deepEqual([results, errors], [[true, false], []]);
  await assert.rejects(outcome, { code: 'DATA_LOSS', message: 'one' });
  gate.resolve();
  await settle();

  assert.deepEqual(errors, [error]);
  assert.equal(call.context.abortReason, error);
});

test('stages end innermost first, wait for each other, and pass on or replace the error', async () => {
  const seen: string[] = [];
  const stage =
    (name: string, end: (failure: unknown) => void | Promise<void> = () => {}): ServerInterceptor =>
    () => ({
      end: (_call, failure) => {
        seen.push(`${name}: ${failure instanceof Error ? failure.message : failure}`);
        return end(failure);
      },
    });
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: () => {
          throw new GitalyError('NOT_FOUND', 'handler');
        },
      }),
    ],
    interceptors: [
      stage('outermost'),
      stage('rejects', async () => {
        throw new GitalyError('ABORTED', 'replaced again');
      }),
      () => undefined,
      stage('throws', () => {
        throw new GitalyError('DATA_LOSS', 'replaced');
      }),
      stage('waits', async () => {
        await settle();
        seen.push('waited');
      }),
      stage('innermost'),
    ],
  });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), { message: 'replaced again' });

  assert.deepEqual(seen, [
    'innermost: handler',
    'waits: handler',
    'waited',
    'throws: handler',
    'rejects: replaced',
    'outermost: replaced again',
  ]);
});

for (const isWaiting of [false, true]) {
  test(`no inner interceptor sees a call refused ${isWaiting ? 'later' : 'at once'}`, async () => {
    const seen: unknown[] = [];
    const refusal = new GitalyError('UNAUTHENTICATED', 'no');
    await using server = connectTo({
      services: [serve(CommitService, { findCommit: () => assert.fail('not reached') })],
      interceptors: [
        recorded(seen),
        () => {
          if (isWaiting) return Promise.reject(refusal);
          throw refusal;
        },
        () => assert.fail('not reached'),
      ],
    });

    await assert.rejects(only(server.channel.invoke(findCommit, [{}])), { code: 'UNAUTHENTICATED' });

    assert.deepEqual(seen, [refusal]);
  });
}

test('stages see the first request, one after the other, before the handler does', async () => {
  const seen: string[] = [];
  const watch =
    (name: string, isWaiting: boolean): ServerInterceptor =>
    () => ({
      request: ({ requestBytes, requestMessages }) => {
        seen.push(`${name} ${requestMessages} ${requestBytes}`);
        return isWaiting ? settle().then(() => void seen.push(`${name} waited`)) : undefined;
      },
    });
  await using server = connectTo({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          for await (const { stdin } of requests) seen.push(`handler ${stdin}`);
          yield {};
        },
      }),
    ],
    interceptors: [watch('outer', true), () => ({}), watch('inner', false)],
  });

  await all(server.channel.invoke(receivePack, [{ stdin: Buffer.from('a') }, { stdin: Buffer.from('b') }]));

  assert.deepEqual(seen, ['outer 1 3', 'outer waited', 'inner 1 3', 'handler a', 'handler b']);
});

test('a response that stands for many counts as many', async () => {
  const counts: number[][] = [];
  const data = toBinary(GetBlobResponseSchema, create(GetBlobResponseSchema, { size: 7n }));
  await using server = connectTo({
    services: [
      serve(BlobService, {
        getBlob: async function* () {
          yield { size: 1n };
          yield readyMessage(GetBlobResponseSchema, readyResponses([data, data, data]));
        },
      }),
    ],
    interceptors: [
      () => ({
        end: ({ requestMessages, responseBytes, responseMessages }) =>
          void counts.push([requestMessages, responseMessages, responseBytes]),
      }),
    ],
  });

  const blobs = await all(server.channel.invoke(getBlob, [{}]));

  assert.deepEqual(
    blobs.map(({ size }) => size),
    [1n, 7n, 7n, 7n],
  );
  assert.deepEqual(counts, [[1, 4, 4 * data.length]]);
});

test('a hard stop waits for handlers, but not for ever', async (context) => {
  const started = Promise.withResolvers<void>();
  const server = new GrpcServer({
    services: [
      serve(CommitService, {
        findCommit: () => {
          started.resolve();
          return new Promise(() => {});
        },
      }),
    ],
  });
  const [near, far] = duplexPair();
  server.serveConnection(far, TEST_PEER);
  const session = connectHttp2('http://localhost', { createConnection: () => near });
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': findCommit.path,
    'content-type': 'application/grpc',
  });
  stream
    .on('error', () => {})
    .resume()
    .end(EMPTY);
  await started.promise;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const timers = openTimers(context);
  let isStopped = false;

  const stopped = server.shutdown({ graceMs: 1000 }).then(() => {
    isStopped = true;
  });
  await settle();
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual([isStopped, server.connections, server.activeCalls], [false, 0, 1]);
  const [late] = duplexPair();
  server.serveConnection(late, TEST_PEER);
  assert.deepEqual([late.destroyed, server.connections], [true, 0]);
  context.mock.timers.tick(4999);
  await settle();
  assert.equal(isStopped, false);
  context.mock.timers.tick(1);
  await stopped;

  assert.equal(timers(), 0);
});
