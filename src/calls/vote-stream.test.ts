import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { MessageQueue } from '#base/streams/message-queue';
import { serve } from '#rpc/server/handler';
import { connectTo } from '#testkit/in-process-rpc';
import { until } from '#testkit/until';
import { type CastRequest, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';
import { VoteTransactionResponse_TransactionState as State } from '#wire/gen/transaction_pb';
import { VoteStream } from './vote-stream.ts';

const NEVER = new AbortController().signal;
const VOTE = { request: { case: 'stop', value: 7n } } as const;

/** A stream to a praefect that answers when the test wants it. */
function start() {
  const received: CastRequest[] = [];
  const responses = new MessageQueue<{ id: number; state?: State; code?: number; message?: string }>();
  const service = serve(VoteService, {
    cast(requests) {
      void (async () => {
        for await (const request of requests) received.push(request);
      })().catch(() => {}); // the connection ends under it
      return responses;
    },
  });
  const server = connectTo({ services: [service] });
  const stream = new VoteStream(server.channel);
  return { received, responses, server, stream, [Symbol.asyncDispose]: server[Symbol.asyncDispose] };
}

test('votes that wait together get their own outcomes, in any order', async () => {
  await using node = start();
  const first = node.stream.cast({ ...VOTE, correlationId: 'call' }, NEVER);
  const second = node.stream.cast(VOTE, NEVER);
  const third = node.stream.cast(VOTE, NEVER);
  await until(() => node.received.length === 3);
  assert.deepEqual(
    node.received.map(({ correlationId, id }) => [id, correlationId]),
    [
      [1, 'call'],
      [2, ''],
      [3, ''],
    ],
  );

  node.responses.push({ id: 99 });
  node.responses.push({ id: 3, state: State.STOP });
  node.responses.push({ id: 1, state: State.ABORT });
  node.responses.push({ id: 2, code: 5, message: 'transaction not found: 7' });

  assert.equal((await first).state, State.ABORT);
  assert.equal((await third).state, State.STOP);
  await assert.rejects(second, { code: 'NOT_FOUND', message: 'transaction not found: 7' });
});

test('a vote whose call ends is withdrawn, and the others wait on', async () => {
  await using node = start();
  const [ending, late] = [new AbortController(), new AbortController()];
  const ended = node.stream.cast(VOTE, ending.signal);
  const timedOut = node.stream.cast(VOTE, late.signal);
  const other = node.stream.cast(VOTE, NEVER);
  await until(() => node.received.length === 3);

  ending.abort(new Error('its client has gone'));
  late.abort(new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded'));

  await assert.rejects(ended, { code: 'CANCELLED', message: 'context canceled' });
  await assert.rejects(timedOut, { code: 'DEADLINE_EXCEEDED', message: 'context deadline exceeded' });
  await until(() => node.received.length === 5);
  assert.deepEqual(
    node.received.slice(3).map(({ id, request }) => [id, request.case]),
    [
      [1, 'cancel'],
      [2, 'cancel'],
    ],
  );
  node.responses.push({ id: 3 });
  assert.equal((await other).state, State.COMMIT);
  await assert.rejects(node.stream.cast(VOTE, ending.signal), { code: 'CANCELLED' });
  assert.equal(node.received.length, 5);
});

test('all votes fail with a connection that breaks, also those that come later', async () => {
  await using node = start();
  const waiting = node.stream.cast(VOTE, NEVER);
  await until(() => node.received.length === 1);

  node.server.channel.destroy();

  await assert.rejects(waiting, { code: 'UNAVAILABLE' });
  await node.stream.ended;
  await assert.rejects(node.stream.cast(VOTE, NEVER), { code: 'UNAVAILABLE' });
});

test('votes do not wait for a praefect that has ended the stream', async () => {
  await using node = start();
  const waiting = node.stream.cast(VOTE, NEVER);
  await until(() => node.received.length === 1);

  node.responses.end();

  await assert.rejects(waiting, { code: 'UNAVAILABLE', message: 'the stream of votes has ended' });
});
