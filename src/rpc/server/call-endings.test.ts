import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo, only, TEST_PEER } from '#testkit/clients/in-process-rpc';
import { steady, until } from '#testkit/until';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { type HandlerContext, serve } from './handler.ts';

const findCommit = callable(CommitService.method.findCommit);
const getBlob = callable(BlobService.method.getBlob);
const receivePack = callable(SSHService.method.sSHReceivePack);

test('a deadline ends the call on both sides', async () => {
  const reasons: unknown[] = [];
  const done = Promise.withResolvers<void>();
  // Long enough for the call to reach the handler on a busy machine.
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async (_request, { signal, deadline }) => {
          assert.ok(deadline !== undefined && deadline.getTime() - Date.now() <= 1000);
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          reasons.push(signal.reason);
          done.resolve();
          throw signal.reason;
        },
      }),
    ],
  });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}], { timeoutMs: 1000 })), {
    code: 'DEADLINE_EXCEEDED',
    message: 'context deadline exceeded',
  });
  await done.promise;
  assert.ok(
    reasons[0] instanceof GitalyError && ['DEADLINE_EXCEEDED', 'CANCELLED'].includes(reasons[0].code),
  );
});

test('a deadline in the past is not sent', async () => {
  await using server = connectTo({ services: [] });

  await assert.rejects(only(server.channel.invoke(findCommit, [{}], { deadline: new Date(0) })), {
    code: 'DEADLINE_EXCEEDED',
  });
});

/** Returns an endless stream that records how far it was read and how it ended. */
function endless() {
  const state = { yielded: 0, isReturned: false, context: undefined as HandlerContext | undefined };
  const ended = Promise.withResolvers<void>();
  const service = serve(BlobService, {
    getBlob: async function* (_request, context) {
      state.context = context;
      try {
        for (;;) {
          state.yielded++;
          yield { data: Buffer.alloc(100_000) };
        }
      } finally {
        state.isReturned = true;
        ended.resolve();
      }
    },
  });
  return { state, service, ended: ended.promise };
}

test('a client that leaves the loop ends the generator behind the stream', async () => {
  const { state, service, ended } = endless();
  await using server = connectTo({ services: [service] });

  for await (const { data } of server.channel.invoke(getBlob, [{}])) {
    assert.equal(data.length, 100_000);
    break;
  }
  await ended;

  assert.equal(state.isReturned, true);
  assert.equal(state.context?.signal.aborted, true);
  assert.deepEqual(state.context?.signal.reason, new GitalyError('CANCELLED', 'context canceled'));
});

// Praefect waits for the response of a node in this way.
test('a client that leaves wakes a source that waits for its next response', async () => {
  const left = new AbortController();
  const end = Promise.withResolvers<IteratorReturnResult<undefined>>();
  let isReturned = false;
  const source = {
    next: () => {
      left.abort();
      return end.promise;
    },
    return: () => {
      isReturned = true;
      end.resolve({ done: true, value: undefined });
      return end.promise;
    },
  };
  const getBlobs = () => ({ [Symbol.asyncIterator]: () => source });
  await using server = connectTo({ services: [serve(BlobService, { getBlob: getBlobs })] });

  try {
    await assert.rejects(all(server.channel.invoke(getBlob, [{}], { signal: left.signal })));
    await until(() => isReturned, 'the source has ended');
  } finally {
    void source.return();
  }
});

test('an AbortSignal cancels the call on both sides', async () => {
  const { service, ended } = endless();
  await using server = connectTo({ services: [service] });
  const controller = new AbortController();

  await assert.rejects(
    async () => {
      for await (const _ of server.channel.invoke(getBlob, [{}], { signal: controller.signal }))
        controller.abort();
    },
    { code: 'CANCELLED', message: 'context canceled' },
  );
  await ended;
});

test('a slow client stops the generator', async () => {
  const { state, service, ended } = endless();
  await using server = connectTo({ services: [service] });
  const call = server.channel.invoke(getBlob, [{}]);

  await call.headers;
  const ahead = await steady(() => state.yielded);
  assert.ok(ahead * 100_000 < 4_000_000, `${ahead} messages were made ahead`);
  call.cancel();
  await ended;
});

test('a slow handler stops the sender', async () => {
  const gate = Promise.withResolvers<void>();
  let sent = 0;
  await using server = connectTo({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          await gate.promise;
          let bytes = 0;
          for await (const { stdin } of requests) bytes += stdin.length;
          yield { exitStatus: { value: bytes } };
        },
      }),
    ],
  });
  const call = server.channel.invoke(
    receivePack,
    (function* () {
      for (; sent < 200; sent++) yield { stdin: Buffer.alloc(100_000) };
    })(),
  );

  const ahead = await steady(() => sent);
  assert.ok(ahead * 100_000 < 4_000_000, `${ahead} messages were taken ahead`);
  gate.resolve();

  assert.equal((await only(call)).exitStatus?.value, 20_000_000);
});

test('a handler that does not read to the end stops the sender permanently', async () => {
  const left = Promise.withResolvers<void>();
  await using server = connectTo({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          for await (const { stdin } of requests) {
            yield { stdout: stdin };
            return;
          }
        },
      }),
    ],
  });

  const responses = await all(
    server.channel.invoke(
      receivePack,
      (async function* () {
        try {
          for (;;) {
            yield { stdin: Buffer.from('x') };
            await nextTurn();
          }
        } finally {
          left.resolve();
        }
      })(),
    ),
  );

  assert.equal(responses.length, 1);
  await left.promise;
});

test('a source of requests that fails ends the call with its error', async () => {
  await using server = connectTo({
    services: [
      serve(SSHService, {
        sSHReceivePack: async function* (requests) {
          for await (const { stdin } of requests) yield { stdout: stdin };
        },
      }),
    ],
  });
  const failing = (async function* () {
    yield { stdin: Buffer.from('a') };
    throw new GitalyError('DATA_LOSS', 'disk on fire');
  })();

  await assert.rejects(all(server.channel.invoke(receivePack, failing)), {
    code: 'DATA_LOSS',
    message: 'disk on fire',
  });
});

test('the source of a response that cannot be sent has ended before the call', async () => {
  const order: string[] = [];
  await using server = connectTo({
    services: [
      serve(BlobService, {
        getBlob: async function* () {
          try {
            // A handler in JavaScript may yield what its type forbids.
            yield { size: 'large' as unknown as bigint };
          } finally {
            await nextTurn();
            order.push('source');
          }
        },
      }),
    ],
    interceptors: [() => ({ end: () => void order.push('call') })],
  });

  await assert.rejects(all(server.channel.invoke(getBlob, [{}])));

  assert.deepEqual(order, ['source', 'call']);
});

test('a connection that comes during a drain gets its first calls', async () => {
  const gate = Promise.withResolvers<void>();
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async ({ revision }) => {
          if (revision.length > 0) await gate.promise;
          return { commit: { id: 'x' } };
        },
      }),
    ],
  });
  const running = only(server.channel.invoke(findCommit, [{ revision: Buffer.from('slow') }]));
  while (server.server.activeCalls === 0) await nextTurn();
  const stopped = server.server.shutdown({ graceMs: 5000 });

  const [clientSide, serverSide] = duplexPair();
  const late = connectGrpc(clientSide);
  const first = only(late.invoke(findCommit, [{}]));
  server.server.serveConnection(serverSide, TEST_PEER);

  assert.equal((await first).commit?.id, 'x');
  await late.closed;
  // One that never sends anything is closed, too.
  const [silent, accepted] = duplexPair();
  server.server.serveConnection(accepted, TEST_PEER);
  silent.resume();
  await once(accepted, 'close');
  gate.resolve();
  await running;
  await stopped;
});

test('a graceful stop lets running calls finish and refuses new ones', async () => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: async () => {
          started.resolve();
          await gate.promise;
          return { commit: { id: 'late' } };
        },
      }),
    ],
  });
  const running = only(server.channel.invoke(findCommit, [{}]));
  await started.promise;

  const stopped = server.server.shutdown({ graceMs: 5000 });
  while (server.channel.state === 'ready') await nextTurn();
  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), { code: 'UNAVAILABLE' });
  assert.equal(server.server.activeCalls, 1);
  gate.resolve();

  assert.equal((await running).commit?.id, 'late');
  await stopped;
  await server.channel.closed;
  assert.equal(server.channel.state, 'closed');
});

test('a hard stop aborts running calls', async () => {
  const { state, service } = endless();
  await using server = connectTo({ services: [service] });
  const call = server.channel.invoke(getBlob, [{}]);
  await call.headers;

  await server.server.shutdown({ graceMs: 10 });

  assert.equal(state.isReturned, true);
  assert.deepEqual(state.context?.signal.reason, new GitalyError('UNAVAILABLE', 'server is shutting down'));
  await assert.rejects(all(call), { code: 'UNAVAILABLE' });
});

test('a client that disconnects cancels its calls', async () => {
  const { state, service, ended } = endless();
  await using server = connectTo({ services: [service] });
  const call = server.channel.invoke(getBlob, [{}]);
  await call.headers;

  server.channel.destroy();

  await ended;
  assert.deepEqual(state.context?.signal.reason, new GitalyError('CANCELLED', 'context canceled'));
  await assert.rejects(all(call), { code: 'UNAVAILABLE' });
});
