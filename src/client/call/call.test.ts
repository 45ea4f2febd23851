import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  Metadata as GrpcMetadata,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type ForeignHandlers, startForeignServer } from '#testkit/servers/foreign-server';
import { steady, until } from '#testkit/until';
import { CustomHookErrorSchema, LimitErrorSchema } from '#wire/gen/errors_pb';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';
import { UserMergeBranchErrorSchema } from '#wire/gen/operations_pb';
import { CallError, type Connection, type DialOptions, dial, receivePack } from '../index.ts';

const RETRY = { initialBackoffMs: 5, maxBackoffMs: 5 };

async function serving(
  handlers: ForeignHandlers,
  options: DialOptions = {},
): Promise<{ connection: Connection } & AsyncDisposable> {
  const server = await startForeignServer(handlers);
  const connection = await dial(server.address, { retry: RETRY, ...options });
  return {
    connection,
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const failure = (code: status, details = 'sorry', metadata = new GrpcMetadata()): Partial<ServiceError> => ({
  code,
  details,
  metadata,
});

/** Returns a unary handler that fails `times` times. */
function failing(
  times: number,
  code: status,
): { calls: () => number; handler: UntypedServiceImplementation[string] } {
  let calls = 0;
  const handler = (
    _call: unknown,
    answer: (error: Partial<ServiceError> | null, response?: Buffer) => void,
  ) => {
    calls++;
    if (calls <= times) answer(failure(code));
    else answer(null, Buffer.from([8, 1]));
  };
  return { calls: () => calls, handler };
}

test('an accessor is retried while the server is unavailable', async () => {
  const { calls, handler } = failing(3, status.UNAVAILABLE);
  await using opened = await serving({ refExists: handler });

  const { value } = await opened.connection.ref.refExists({});

  assert.equal(value, true);
  assert.equal(calls(), 4);
});

test('an accessor fails after four attempts, and is not retried for other codes', async () => {
  const unavailable = failing(9, status.UNAVAILABLE);
  await using first = await serving({ refExists: unavailable.handler });
  await assert.rejects(first.connection.ref.refExists({}), { code: 'UNAVAILABLE', message: 'sorry' });
  assert.equal(unavailable.calls(), 4);

  const aborted = failing(9, status.ABORTED);
  await using second = await serving({ refExists: aborted.handler });
  await assert.rejects(second.connection.ref.refExists({}), { code: 'ABORTED' });
  assert.equal(aborted.calls(), 1);
});

// The headers of the proxy counted as those of a response, after which a call is not retried.
test('an accessor is retried while a proxy has no server', async () => {
  let calls = 0;
  const proxy = createServer().on('stream', (stream: ServerHttp2Stream) => {
    if (++calls === 1) {
      stream.respond({ ':status': 503, 'content-type': 'text/html' });
      stream.end('no server');
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const address = proxy.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await using connection = await dial(`tcp://127.0.0.1:${port}`, { retry: RETRY });

  const { value } = await connection.ref.refExists({});

  assert.deepEqual([value, calls], [true, 2]);
  await connection.close();
  proxy.close();
});

test('a mutator is never retried, nor is any call without a policy', async () => {
  const mutator = failing(1, status.UNAVAILABLE);
  await using first = await serving({ createRepository: mutator.handler });
  await assert.rejects(first.connection.repository.createRepository({}), { code: 'UNAVAILABLE' });
  assert.equal(mutator.calls(), 1);

  const accessor = failing(1, status.UNAVAILABLE);
  await using second = await serving({ refExists: accessor.handler }, { retry: false });
  await assert.rejects(second.connection.ref.refExists({}), { code: 'UNAVAILABLE' });
  assert.equal(accessor.calls(), 1);
});

test('a method listed in the policy is retried, whatever the interface declares', async () => {
  const { calls, handler } = failing(2, status.UNAVAILABLE);
  const methods = ['/gitaly.RepositoryService/OptimizeRepository'];
  await using opened = await serving({ optimizeRepository: handler }, { retry: { ...RETRY, methods } });

  await opened.connection.repository.optimizeRepository({});

  assert.equal(calls(), 3);
});

test('a stream that failed after its first message is not retried', async () => {
  let calls = 0;
  await using opened = await serving({
    listRefs: (call: { write(message: Buffer): void; emit(event: 'error', error: unknown): void }) => {
      calls++;
      call.write(Buffer.alloc(0));
      call.emit('error', failure(status.UNAVAILABLE));
    },
  });
  let messages = 0;

  await assert.rejects(
    async () => {
      for await (const _ of opened.connection.ref.listRefs({})) messages++;
    },
    { code: 'UNAVAILABLE' },
  );

  assert.deepEqual([calls, messages], [1, 1]);
});

const HOUR_MS = 3_600_000;

test('a deadline applies to all attempts together', { timeout: 120_000 }, async () => {
  const { handler } = failing(9, status.UNAVAILABLE);
  await using opened = await serving(
    { refExists: handler },
    { retry: { initialBackoffMs: HOUR_MS, maxBackoffMs: HOUR_MS } },
  );

  await assert.rejects(opened.connection.ref.refExists({}, { timeoutMs: 50 }), { code: 'DEADLINE_EXCEEDED' });
});

test('details of an error are decoded', async () => {
  const any = (schema: Parameters<typeof toBinary>[0], message: Parameters<typeof toBinary>[1]) => ({
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    value: toBinary(schema, message),
  });
  const hook = create(CustomHookErrorSchema, { stderr: Buffer.from('no') });
  const merge = create(UserMergeBranchErrorSchema, { error: { case: 'customHook', value: hook } });
  const limit = create(LimitErrorSchema, {
    errorMessage: 'busy',
    retryAfter: { seconds: 2n, nanos: 500_000_000 },
  });
  const details = [any(UserMergeBranchErrorSchema, merge), any(LimitErrorSchema, limit)];
  const metadata = new GrpcMetadata();
  metadata.set(
    'grpc-status-details-bin',
    Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code: 9, details }))),
  );
  await using opened = await serving({
    refExists: (_call: unknown, answer: (error: Partial<ServiceError>) => void) =>
      answer(failure(status.FAILED_PRECONDITION, 'refused', metadata)),
  });

  await assert.rejects(opened.connection.ref.refExists({}), (error) => {
    assert.ok(error instanceof CallError);
    assert.equal(error.code, 'FAILED_PRECONDITION');
    assert.equal(error.codeNumber, 9);
    assert.equal(error.reason, 'customHook');
    assert.equal(error.detail(UserMergeBranchErrorSchema)?.error.case, 'customHook');
    assert.deepEqual(error.limit, { retryAfterMs: 2500 });
    assert.equal(error.detail(CustomHookErrorSchema), undefined);
    return true;
  });
});

test('leaving a stream early cancels the call', async () => {
  const cancelled = Promise.withResolvers<void>();
  await using opened = await serving({
    listRefs: (call: { write(message: Buffer): void; on(event: string, listener: () => void): void }) => {
      call.on('cancelled', () => cancelled.resolve());
      call.write(Buffer.alloc(0));
    },
  });

  for await (const _ of opened.connection.ref.listRefs({})) break;

  await cancelled.promise;
});

test('the server ends a remote command, even if stdin never ends', async () => {
  await using opened = await serving({
    sshReceivePack: (call: { write(message: Buffer): void; end(): void }) => {
      // stdout, stderr, exit_status 5
      call.write(Buffer.from('\x0a\x03out\x12\x03err\x1a\x02\x08\x05', 'latin1'));
      call.end();
    },
  });
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };

  const result = await receivePack(opened.connection, io, {});

  assert.deepEqual(result, { exitCode: 5 });
  assert.equal(io.stdout.read().toString(), 'out');
  assert.equal(io.stderr.read().toString(), 'err');
  assert.equal(io.stdin.destroyed, false);
  assert.equal(io.stdin.listenerCount('readable'), 0);
});

test('a stdin that fails is the error of the remote command', async () => {
  await using opened = await serving({ sshReceivePack: () => {} });
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const running = receivePack(opened.connection, io, {});

  io.stdin.destroy(new Error('terminal gone'));

  await assert.rejects(running, { message: 'stdin send error: terminal gone' });
});

test('an abort ends a remote command with the reason as its cause', async () => {
  await using opened = await serving({ sshReceivePack: () => {} });
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const abort = new AbortController();
  const reason = new Error('no longer wanted');
  const running = receivePack(opened.connection, io, {}, { signal: abort.signal });

  setTimeout(() => abort.abort(reason), 10); // the server never responds

  await assert.rejects(running, (error) => {
    assert.ok(error instanceof CallError);
    assert.equal(error.code, 'CANCELLED');
    assert.equal(error.cause, reason);
    return true;
  });
});

test('requests are taken only as fast as the server reads them', async () => {
  await using opened = await serving({ sshReceivePack: () => {} }); // reads nothing
  let taken = 0;
  async function* requests() {
    for (;;) {
      taken++;
      yield { stdin: Buffer.alloc(65_536) };
    }
  }

  await using _call = opened.connection.ssh.sshReceivePack(requests());
  await until(() => taken > 0);
  await steady(() => taken);

  assert.ok(taken > 0 && taken < 200, `${taken} messages of 64 KiB were taken`);
});
