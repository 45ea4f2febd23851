import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { MessageQueue } from '#base/streams/message-queue';
import { grpcServerMetrics } from '#platform/metrics/grpc-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo } from '#testkit/clients/in-process-rpc';
import { until } from '#testkit/until';
import { type CastRequestSchema, VoteService } from '#wire/gen/gitalyts/votes/v1/votes_pb';
import {
  VoteTransactionRequest_Phase as Phase,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';
import { TransactionError, UnknownTransactionError } from '../transactions/transaction-error.ts';
import type { ReceivedVote, Transactions } from '../transactions/transactions.ts';
import { voteService } from './vote-service.ts';

const HASH = Buffer.alloc(20, 0xab);

type Request = MessageInitShape<typeof CastRequestSchema>;

/** A vote of the transaction with the number of the vote. */
function vote(id: number, fields: { hash?: Uint8Array; phase?: Phase } = {}): Request {
  const { hash: referenceUpdatesHash = HASH, phase = Phase.PREPARED_PHASE } = fields;
  const value = { transactionId: BigInt(id), node: 'gitaly-1', referenceUpdatesHash, phase };
  return { id, correlationId: `call-${id}`, request: { case: 'vote', value } };
}

/** A node that casts votes; `decide` is the outcome of each. */
function start(decide: (id: bigint, vote: ReceivedVote) => Promise<void> = async () => {}) {
  const votes: (ReceivedVote & { readonly id: bigint })[] = [];
  const entered: bigint[] = [];
  const stopped: bigint[] = [];
  const transactions = {
    vote: async (id: bigint, cast: ReceivedVote) => {
      votes.push({ ...cast, id });
      await decide(id, cast);
    },
    enter: async (id: bigint) => {
      entered.push(id);
    },
    stop: (id: bigint) => {
      if (id === 404n) throw new UnknownTransactionError(id);
      stopped.push(id);
    },
  };
  const registry = new MetricsRegistry();
  const metricsOf = grpcServerMetrics(registry, { codes: [], latencyBuckets: [1], methods: [] });
  const service = voteService(transactions as unknown as Transactions, metricsOf); // it uses these
  const server = connectTo({ services: [service] });
  const requests = new MessageQueue<Request>();
  const call = server.channel.invoke(callable(VoteService.method.cast), requests);
  return {
    call,
    registry,
    entered,
    requests,
    server,
    stopped,
    votes,
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}

/** The votes' own fields of responses. */
async function outcomes(call: ReturnType<typeof start>['call']) {
  return (await all(call)).map(({ code, id, message, state }) => ({ id, state, code, message }));
}

test('each vote is answered with its number as soon as it is decided', async () => {
  const first = Promise.withResolvers<void>();
  await using praefect = start((id) => (id === 1n ? first.promise : Promise.resolve()));
  const responses = praefect.call[Symbol.asyncIterator]();
  praefect.requests.push(vote(1));
  praefect.requests.push(vote(2, { phase: Phase.COMMITTED_PHASE }));

  assert.partialDeepStrictEqual((await responses.next()).value, { id: 2, state: State.COMMIT, code: 0 });
  first.resolve();
  assert.partialDeepStrictEqual((await responses.next()).value, { id: 1, state: State.COMMIT, code: 0 });

  assert.partialDeepStrictEqual(praefect.votes, [
    { id: 1n, node: 'gitaly-1', hash: 'ab'.repeat(20), phase: 'prepared' },
    { id: 2n, node: 'gitaly-1', hash: 'ab'.repeat(20), phase: 'committed' },
  ]);
  assert.partialDeepStrictEqual(praefect.votes[0]?.callFields, {
    component: 'backchannel.PraefectServer',
    correlation_id: 'call-1',
    'grpc.service': 'gitaly.RefTransaction',
    'grpc.method': 'VoteTransaction',
  });
});

test('outcomes and errors of votes are theirs alone', async () => {
  await using praefect = start(async (id) => {
    if (id === 1n) throw new TransactionError('failed');
    if (id === 2n) throw new TransactionError('stopped');
    if (id === 3n) throw new TransactionError('canceled');
    if (id === 4n) throw new UnknownTransactionError(id);
    if (id === 5n) throw new Error('node already cast a vote: "x"');
  });
  for (const id of [1, 2, 3, 4, 5, 6]) praefect.requests.push(vote(id));
  praefect.requests.push(vote(7, { hash: Buffer.alloc(19) }));
  praefect.requests.push({ id: 8, request: { case: undefined } });
  praefect.requests.end();

  const received = await outcomes(praefect.call);

  const failed = (id: number, code: number, message: string) => ({ id, state: State.COMMIT, code, message });
  assert.deepEqual(
    received.toSorted((a, b) => a.id - b.id),
    [
      { id: 1, state: State.ABORT, code: 0, message: '' },
      { id: 2, state: State.STOP, code: 0, message: '' },
      failed(3, 1, 'transaction has been canceled'),
      failed(4, 5, 'transaction not found: 4'),
      failed(5, 13, 'node already cast a vote: "x"'),
      { id: 6, state: State.COMMIT, code: 0, message: '' },
      failed(7, 3, 'invalid reference update hash: invalid vote length 19, wanted 20'),
      failed(8, 12, 'unknown request'),
    ],
  );
  const counted = praefect.registry.render('text');
  const labels = 'grpc_method="VoteTransaction",grpc_service="gitaly.RefTransaction",grpc_type="unary"';
  for (const [name, value] of [
    [`started_total{${labels}}`, 7],
    [`handled_total{grpc_code="OK",${labels}}`, 3],
    [`handled_total{grpc_code="NotFound",${labels}}`, 1],
    [`handling_seconds_count{${labels}}`, 7],
  ] as const)
    assert.ok(counted.includes(`grpc_server_${name} ${value}\n`), `${name} in ${counted}`);
});

test('the order of writes and stops need no vote', async () => {
  await using praefect = start();
  praefect.requests.push(vote(1, { hash: Buffer.alloc(0), phase: Phase.PREPARING_PHASE }));
  praefect.requests.push({ id: 2, request: { case: 'stop', value: 7n } });
  praefect.requests.push({ id: 3, request: { case: 'stop', value: 404n } });
  praefect.requests.end();

  const received = await outcomes(praefect.call);

  assert.deepEqual(
    received.toSorted((a, b) => a.id - b.id).map(({ code, id }) => [id, code]),
    [
      [1, 0],
      [2, 0],
      [3, 5],
    ],
  );
  assert.deepEqual([praefect.entered, praefect.stopped, praefect.votes], [[1n], [7n], []]);
});

/** Waits until the vote is withdrawn. */
async function undecided(_: bigint, { signal }: ReceivedVote): Promise<void> {
  await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

test('a vote is withdrawn when its call ends, without a response', async () => {
  await using praefect = start((id, cast) => (id === 1n ? undecided(id, cast) : Promise.resolve()));
  praefect.requests.push(vote(1));
  praefect.requests.push({ id: 1, request: { case: 'cancel', value: true } });
  praefect.requests.push({ id: 99, request: { case: 'cancel', value: true } });
  praefect.requests.push(vote(2));
  praefect.requests.end();

  assert.deepEqual(
    (await outcomes(praefect.call)).map(({ id }) => id),
    [2],
  );

  const [withdrawn] = praefect.votes;
  assert.ok(withdrawn !== undefined);
  assert.throws(() => withdrawn.signal.throwIfAborted(), { code: 'CANCELLED', message: 'context canceled' });
});

test('all undecided votes of a connection that breaks are withdrawn', async () => {
  await using praefect = start(undecided);
  praefect.requests.push(vote(1));
  praefect.requests.push(vote(2));
  await until(() => praefect.votes.length === 2);

  praefect.server.channel.destroy();

  await assert.rejects(all(praefect.call), { code: 'UNAVAILABLE' });
  await until(() => praefect.votes.every(({ signal }) => signal.aborted));
});

test('a node cannot have any number of undecided votes', async () => {
  await using praefect = start(undecided);
  for (let id = 1; id <= 10_001; id++) praefect.requests.push(vote(id));

  const { value } = await praefect.call[Symbol.asyncIterator]().next();

  assert.partialDeepStrictEqual(value, { id: 10_001, code: 8, message: 'too many votes are undecided' });
});

test('a node that does not read the outcomes of its votes loses its stream', async () => {
  const ended = Promise.withResolvers<void>();
  async function* endless() {
    try {
      for (let id = 1; ; id++) yield { id, correlationId: 'x', request: { case: undefined } };
    } finally {
      ended.resolve();
    }
  }
  const metricsOf = grpcServerMetrics(new MetricsRegistry(), { codes: [], latencyBuckets: [], methods: [] });
  const { cast } = voteService({} as unknown as Transactions, metricsOf).implementation; // it uses nothing
  assert.ok(typeof cast === 'function');

  const responses: AsyncIterable<unknown> = cast(endless(), { correlationId: 'y' });

  await ended.promise;
  assert.equal((await Array.fromAsync(responses)).length, 10_000);
});
