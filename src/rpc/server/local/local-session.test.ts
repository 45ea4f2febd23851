import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { whenSent } from '#rpc/common/grpc/when-sent';
import { all, connectTo, LOCAL_SESSIONS, only } from '#testkit/clients/in-process-rpc';
import { run } from '#testkit/run-program';
import { until } from '#testkit/until';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { CALLS_PER_TURN } from '../connection/connection-limits.ts';
import type { GrpcServerOptions } from '../grpc-server.ts';
import { serve } from '../handler.ts';
import { LocalSession } from './local-session.ts';
import type { LocalStream } from './local-stream.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);
const receivePack = callable(SSHService.method.sSHReceivePack);
const CHUNK_BYTES = 32_768;
const OF_CALLS = [
  ...['grpc-server.test.ts', 'call-endings.test.ts', 'large-requests.test.ts', 'call/active-call.test.ts'],
];

/** Waits until a number no longer grows. */
async function untilStill(read: () => number): Promise<void> {
  let before = -1;
  for (let turns = 0; turns < 20; turns++) {
    await new Promise(setImmediate);
    if (read() !== before) turns = 0;
    before = read();
  }
}

const connectLocally = (options: GrpcServerOptions) => connectTo(options, {}, true);

test('calls without HTTP/2 pass the tests of those with it', async () => {
  const args = ['--conditions=source', '--test', '--test-reporter=tap', ...OF_CALLS];
  const { code, stdout } = await run(process.execPath, args, {
    cwd: join(import.meta.dirname, '..'),
    env: { NODE_TEST_CONTEXT: undefined, [LOCAL_SESSIONS]: '1' }, // a test runner of its own
  });

  assert.equal(code, 0, stdout);
  assert.ok(Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) > 40, stdout);
});

test('local: the memory of a message may be used again when it is sent', async () => {
  const memory = Buffer.alloc(CHUNK_BYTES);
  await using server = connectLocally({
    services: [
      serve(BlobService, {
        getBlob: async function* () {
          for (let number = 1; number <= 20; number++) {
            memory.fill(number);
            let isSent = false;
            yield whenSent({ data: memory }, () => {
              isSent = true;
            });
            await until(() => isSent, 'it is sent');
          }
        },
      }),
    ],
  });
  const received = await all(server.channel.invoke(getBlob, [{}]));

  assert.deepEqual(
    received.map(({ data }) => new Set(data)),
    received.map((_, index) => new Set([index + 1])),
  );
});

test('local: a client that does not read stops its server, and others have their turns', async () => {
  let made = 0;
  await using server = connectLocally({
    services: [
      serve(CommitService, { findCommit: () => ({}) }),
      serve(BlobService, {
        getBlob: async function* () {
          for (; made < 3_000; made++) yield { data: Buffer.alloc(CHUNK_BYTES) };
        },
      }),
    ],
  });
  const { channel } = server;
  await using call = channel.invoke(getBlob, [{}]);
  const responses = call[Symbol.asyncIterator]();
  await responses.next();

  await untilStill(() => made);
  assert.ok(made < 40, `${made} messages wait`);
  let turns = 0;
  const other = (async () => {
    for (; made < 2_500; turns++) await only(channel.invoke(findCommit, [{}]));
  })();
  while (made < 2_800) await responses.next();
  await other;
  assert.ok(turns > 30, `${turns} calls had their turn`);
});

test('local: a server that does not read stops its client', async () => {
  const gate = Promise.withResolvers<void>();
  await using server = connectLocally({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          await gate.promise;
          let bytes = 0;
          for await (const { stdin } of requests) bytes += stdin.length;
          yield { stdout: Buffer.from(String(bytes)) };
        },
      }),
    ],
  });
  let sent = 0;
  async function* requests() {
    for (; sent < 1000; sent++) yield { stdin: Buffer.alloc(CHUNK_BYTES) };
  }
  const answer = only(server.channel.invoke(receivePack, requests()));

  await untilStill(() => sent);
  assert.ok(sent < 40, `${sent} messages wait`);
  gate.resolve();
  assert.equal(Buffer.from((await answer).stdout).toString(), String(1000 * CHUNK_BYTES));
});

test('local: a call does not run in the asynchronous context of its client', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  await using server = connectLocally({
    services: [
      serve(CommitService, {
        findCommit: () => {
          seen.push(storage.getStore());
          return {};
        },
      }),
    ],
  });

  await storage.run('client', () => only(server.channel.invoke(findCommit, [{}])));
  assert.deepEqual(seen, [undefined]);
});

test('local: a call whose status cannot be encoded is reset with INTERNAL_ERROR', async () => {
  // Code in JavaScript may throw what the type forbids.
  const broken = Object.assign(new GitalyError('NOT_FOUND', ''), { message: 5 });
  const findBroken = (): never => {
    throw broken;
  };
  await using server = connectLocally({ services: [serve(CommitService, { findCommit: findBroken })] });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
    code: 'INTERNAL',
    message: 'stream terminated by RST_STREAM with error code: INTERNAL_ERROR',
  });
});

test('local: at the end of a server its running calls finish, and further ones are refused', async () => {
  const gate = Promise.withResolvers<void>();
  await using server = connectLocally({
    services: [serve(CommitService, { findCommit: () => gate.promise.then(() => ({})) })],
  });
  const { channel } = server;
  const running = only(channel.invoke(findCommit, [{}]));
  await until(() => server.server.activeCalls === 1, 'the call runs');

  const ending = server.server.shutdown({ graceMs: 5000 });
  assert.equal(channel.state, 'draining');
  await assert.rejects(only(channel.invoke(findCommit, [{}])), { code: 'UNAVAILABLE' });
  gate.resolve();
  assert.ok(await running);
  await ending;
  await channel.closed;
  assert.equal(channel.state, 'closed');
});

// The server stopped while calls waited for their turn to start; they ran without its resources.
test('local: the end of a server waits for calls that wait to start', async () => {
  let served = 0;
  await using server = connectLocally({
    services: [serve(CommitService, { findCommit: () => ({ commit: { id: String(++served) } }) })],
  });
  const { channel } = server;
  const calls = Array.from({ length: 3 * CALLS_PER_TURN }, () => only(channel.invoke(findCommit, [{}])));

  await server.server.shutdown({ graceMs: 60_000 });
  const servedAtEnd = served;

  assert.equal((await Promise.all(calls)).length, servedAtEnd);
});

test('local: a session that closes accepts no further call', async () => {
  const server = Promise.withResolvers<LocalStream>();
  const session = new LocalSession({ before: [], after: [] }, server.resolve);
  const ignore = (): void => {};
  const events = {
    ...{ onHeaders: ignore, onTrailers: ignore, onData: ignore },
    ...{ onEnd: ignore, onDrain: ignore, onClose: ignore },
  };
  const call = () => session.request({ path: '/a', pairs: [] }, events);
  call();
  const running = await server.promise;

  session.close();
  assert.throws(call, /^Error: the server has stopped$/);
  assert.equal(session.isDestroyed, false, 'the call goes on');
  running.destroy();

  await session.closed;
  assert.throws(call, /^Error: the server has stopped$/);
});
