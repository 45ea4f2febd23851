import assert from 'node:assert/strict';
import { once } from 'node:events';
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { MessageQueue } from '#base/streams/message-queue';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YAMUX_SERVER } from '#rpc/common/yamux/settings';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { serve } from '#rpc/server/handler';
import { connectTo } from '#testkit/clients/in-process-rpc';
import { until } from '#testkit/until';
import { type CastRequest, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';
import { VoteTransactionResponse_TransactionState as State } from '#wire/gen/transaction_pb';
import { VoteStream, votesOverBackchannels } from './reverse-votes.ts';

const EMPTY_MESSAGE = Buffer.alloc(5);
const REQUEST = { transactionId: 7n, node: 'gitaly-1', hash: new Uint8Array(20), phase: 'prepared' } as const;

/** Both ends of a multiplexed connection: a node, and a praefect that answers each call by itself. */
function connected(onCall: (stream: ServerHttp2Stream, path: string) => void) {
  const [near, far] = duplexPair();
  const node = new YamuxSession(near, YAMUX_SERVER);
  const praefect = new YamuxSession(far, { ...YAMUX_SERVER, role: 'client' });
  void praefect.accept().then((duplex) => {
    if (duplex === undefined) return;
    const session = performServerHandshake(duplex);
    session.on('stream', (stream, headers) => onCall(stream, headers[':path'] ?? ''));
    session.on('error', () => {}); // the connection ends under it
  });
  const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
  const id = backchannels.register(node);
  const connect = votesOverBackchannels(backchannels);
  return { votes: connect(id), streamed: () => connect(id, true), [Symbol.dispose]: () => node.destroy() };
}

test('a vote returns with its response, and its stream ends without a reset', async () => {
  const answered = Promise.withResolvers<ServerHttp2Stream>();
  using connection = connected((stream) => {
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.write(EMPTY_MESSAGE);
    answered.resolve(stream);
  });
  const { signal } = new AbortController();

  const outcome = await connection.votes.vote(REQUEST, { signal });
  const stream = await answered.promise;
  const closed = once(stream, 'close');
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end();
  await closed;

  assert.equal(outcome, 'commit');
  assert.deepEqual([stream.rstCode, stream.aborted], [0, false]);
});

test('a vote that is refused fails with the status', async () => {
  using connection = connected((stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'none' },
      { endStream: true },
    );
  });
  const { signal } = new AbortController();

  await assert.rejects(connection.votes.vote(REQUEST, { signal }), { code: 'NOT_FOUND', message: 'none' });
  await assert.rejects(connection.votes.stop(7n, { signal }), { code: 'NOT_FOUND', message: 'none' });
});

test('votes for a praefect that reads a stream share one call, and a new one if it ends', async () => {
  const calls: { readonly path: string; readonly stream: ServerHttp2Stream }[] = [];
  /** Answers the request of each frame with its own number; all are shorter than 128 bytes. */
  using connection = connected((stream, path) => {
    calls.push({ path, stream });
    stream.on('error', () => {}); // the connection ends under it
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.on('data', (frame: Buffer) =>
      stream.write(Buffer.concat([Buffer.of(0, 0, 0, 0, 2, 0x08), frame.subarray(6, 7)])),
    );
  });
  const { signal } = new AbortController();

  assert.equal(await connection.streamed().vote(REQUEST, { signal }), 'commit');
  assert.equal(await connection.streamed().vote({ ...REQUEST, phase: 'committed' }, { signal }), 'commit');
  await connection.streamed().stop(7n, { signal });
  assert.deepEqual(
    calls.map(({ path }) => path),
    ['/gitalyts.votes.v1.VoteService/Cast'],
  );

  calls[0]?.stream.close();
  const votesAgain = () => connection.streamed().vote(REQUEST, { signal });
  await until(() =>
    votesAgain().then(
      (outcome) => outcome === 'commit',
      () => false, // the node does not know yet
    ),
  );
  assert.equal(calls.length, 2);
});

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
