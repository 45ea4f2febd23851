import assert from 'node:assert/strict';
import { once } from 'node:events';
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YAMUX_SERVER } from '#rpc/common/yamux/settings';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { until } from '#testkit/until';
import { votesOverBackchannels } from './reverse-votes.ts';

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
