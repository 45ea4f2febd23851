import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { serve } from '#rpc/server/handler';
import { connectTo, listen } from '#testkit/clients/in-process-rpc';
import { never, until } from '#testkit/until';
import { CommitService, FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { GitCalls } from './git-calls.ts';
import { rememberCall } from './running-call.ts';

const LIMITS = {
  maxRunning: 3,
  maxRunningPerConnection: 2,
  maxWaiting: 3,
  maxWaitingPerConnection: 2,
  maxWaitMs: 10_000,
};
const FIND_COMMIT = { path: '/gitaly.CommitService/FindCommit', kind: 'unary' } as const;
const REQUEST = toBinary(FindCommitRequestSchema, create(FindCommitRequestSchema, {}));

/** A service whose calls run any number of processes until they are ended. */
function counted(gitCalls: GitCalls) {
  const ends: (() => void)[] = [];
  const state = { started: 0, ends };
  const services = [
    serve(CommitService, {
      async findCommit() {
        await gitCalls.admit();
        await gitCalls.admit();
        state.started++;
        await new Promise<void>((resolve) => ends.push(resolve));
        return {};
      },
    }),
  ];
  return { state, options: { services, interceptors: [rememberCall] } };
}

/** Waits until as many calls have started, and then whether another one does. */
async function startedOnly(state: { readonly started: number }, count: number): Promise<void> {
  await until(() => state.started >= count, `${count} calls have started`);
  await never(() => state.started > count);
}

test('calls that run git are limited per connection and in all, and the next one follows', async () => {
  const { state, options } = counted(new GitCalls(LIMITS));
  await using server = await listen(options);
  const channels = [connectGrpc(server.dial()), connectGrpc(server.dial())];
  const call = (of: number) =>
    Array.fromAsync(channels[of]?.invokeRaw(FIND_COMMIT, [REQUEST]) ?? []).then(
      () => 'ended',
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );

  const first = Array.from({ length: 5 }, () => call(0));
  await startedOnly(state, 2);
  assert.equal(await Promise.race(first), 'RESOURCE_EXHAUSTED: too many calls that run git are waiting');
  const other = [call(1), call(1)];
  await startedOnly(state, 3);
  state.ends.shift()?.();
  await startedOnly(state, 4);
  for (let left = 0; left < 5; left++) {
    await until(() => state.ends.length > 0, 'the next call has started');
    state.ends.shift()?.();
  }

  assert.deepEqual(await Promise.all(other), ['ended', 'ended']);
  assert.equal((await Promise.all(first)).filter((end) => end === 'ended').length, 4);
  for (const channel of channels) channel.destroy();
});

test('a call that waited too long is refused, and one whose client left takes no place', async () => {
  const { state, options } = counted(new GitCalls({ ...LIMITS, maxRunning: 1, maxWaitMs: 60 }));
  await using server = await listen(options);
  const channel = connectGrpc(server.dial());
  const controller = new AbortController();
  const call = (signal?: AbortSignal) =>
    Array.fromAsync(channel.invokeRaw(FIND_COMMIT, [REQUEST], signal && { signal }));

  const running = call();
  await startedOnly(state, 1);
  const left = call(controller.signal);
  left.catch(() => {});
  const late = call();

  await assert.rejects(late, { code: 'RESOURCE_EXHAUSTED', message: 'calls that run git waited for 60 ms' });
  controller.abort();
  await assert.rejects(left);
  state.ends.shift()?.();
  await running;
  assert.equal(state.started, 1);
  channel.destroy();
});

test('calls of hooks are not limited, as the calls that they belong to wait for them', async () => {
  const { state, options } = counted(new GitCalls({ ...LIMITS, maxRunning: 1 }));
  await using server = connectTo(options);

  const calls = Array.from({ length: 4 }, () =>
    Array.fromAsync(server.channel.invokeRaw(FIND_COMMIT, [REQUEST])),
  );
  await startedOnly(state, 4);

  for (const end of state.ends) end();
  await Promise.all(calls);
});
