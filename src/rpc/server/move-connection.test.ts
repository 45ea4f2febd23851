import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { listen, only } from '#testkit/clients/in-process-rpc';
import { until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { serve } from './handler.ts';

const findCommit = callable(CommitService.method.findCommit);
const SERVICES = [serve(CommitService, { findCommit: () => ({}) })];

async function callTimes(channel: GrpcChannel, count: number): Promise<void> {
  for (let call = 0; call < count; call++) await only(channel.invoke(findCommit, [{}]));
}

test('of several connections the one with the most calls since the last time is ended', async () => {
  await using listening = await listen({ services: SERVICES });
  const { server } = listening;
  const channels = Array.from({ length: 3 }, () => connectGrpc(listening.dial()));
  const [quiet, busy, idle] = channels;
  assert.ok(quiet && busy && idle);
  await callTimes(idle, 9);
  assert.equal(server.moveConnection('of several'), false, 'only one had calls');
  await callTimes(quiet, 1);
  await callTimes(busy, 2);

  assert.equal(server.moveConnection('of several'), true);

  await until(() => busy.state === 'closed');
  assert.deepEqual([quiet.state, idle.state], ['ready', 'ready']);
  assert.equal(server.moveConnection('any'), false, 'no calls since then');
  await callTimes(quiet, 1);
  assert.equal(server.moveConnection('of several'), false);
  await callTimes(quiet, 1);
  assert.equal(server.moveConnection('any'), true);
  await until(() => quiet.state === 'closed');
  await callTimes(idle, 1);
  for (const channel of channels) channel.destroy();
});
