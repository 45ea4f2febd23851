import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import {
  VoteTransactionRequest_Phase as Phase,
  RefTransaction,
  VoteTransactionResponse_TransactionState as State,
} from '#wire/gen/transaction_pb';
import { TransactionError, UnknownTransactionError } from '../transactions/transaction-error.ts';
import type { ReceivedVote, Transactions } from '../transactions/transactions.ts';
import { refTransactionService } from './ref-transaction.ts';

const voteTransaction = callable(RefTransaction.method.voteTransaction);
const stopTransaction = callable(RefTransaction.method.stopTransaction);
const HASH = Buffer.alloc(20, 0xab);

/** The part of the transactions that the service uses; each throws a given error. */
function start(error?: Error) {
  const votes: { readonly id: bigint; readonly vote: ReceivedVote }[] = [];
  const entered: bigint[] = [];
  const stopped: bigint[] = [];
  const transactions = {
    vote: async (id: bigint, vote: ReceivedVote) => {
      votes.push({ id, vote });
      if (error !== undefined) throw error;
    },
    enter: async (id: bigint) => {
      entered.push(id);
      if (error !== undefined) throw error;
    },
    stop: (id: bigint) => {
      stopped.push(id);
      if (error !== undefined) throw error;
    },
  };
  const service = refTransactionService(transactions as unknown as Transactions); // it uses these
  const server = connectTo({ services: [service] });
  const { channel } = server;
  return {
    ...{ votes, entered, stopped },
    vote: async (phase = Phase.PREPARED_PHASE, referenceUpdatesHash: Uint8Array = HASH) => {
      const request = { transactionId: 7n, node: 'gitaly-1', phase, referenceUpdatesHash };
      return (await only(channel.invoke(voteTransaction, [request]))).state;
    },
    stop: async () => await only(channel.invoke(stopTransaction, [{ transactionId: 7n }])),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

for (const [phase, name] of [
  [Phase.PREPARING_PHASE, 'preparing'],
  [Phase.PREPARED_PHASE, 'prepared'],
  [Phase.COMMITTED_PHASE, 'committed'],
  [Phase.SYNCHRONIZED_PHASE, 'synchronized'],
  [Phase.UNKNOWN_PHASE, 'unknown'],
] as const)
  test(`a vote in the phase ${name} is cast for its node, which may commit`, async () => {
    await using praefect = start();

    assert.equal(await praefect.vote(phase), State.COMMIT);

    const [cast] = praefect.votes;
    assert.equal(cast?.id, 7n);
    assert.partialDeepStrictEqual(cast?.vote, { node: 'gitaly-1', hash: 'ab'.repeat(20), phase: name });
    assert.partialDeepStrictEqual(cast?.vote.callFields, {
      component: 'backchannel.PraefectServer',
      'grpc.method': 'VoteTransaction',
    });
    assert.deepEqual(praefect.entered, []);
  });

test('without a hash the first phase casts no vote, but waits for its turn', async () => {
  await using praefect = start();

  assert.equal(await praefect.vote(Phase.PREPARING_PHASE, Buffer.alloc(0)), State.COMMIT);

  assert.deepEqual([praefect.entered, praefect.votes], [[7n], []]);
  await using unknown = start(new UnknownTransactionError(7n));
  await assert.rejects(unknown.vote(Phase.PREPARING_PHASE, Buffer.alloc(0)), {
    code: 'NOT_FOUND',
    message: 'transaction not found: 7',
  });
});

test('a hash of another length is refused', async () => {
  await using praefect = start();
  const message = (length: number) =>
    `invalid reference update hash: invalid vote length ${length}, wanted 20`;

  for (const length of [19, 21])
    await assert.rejects(praefect.vote(Phase.PREPARING_PHASE, Buffer.alloc(length)), {
      code: 'INVALID_ARGUMENT',
      message: message(length),
    });
  await assert.rejects(praefect.vote(Phase.PREPARED_PHASE, Buffer.alloc(0)), { message: message(0) });
  assert.deepEqual([praefect.entered, praefect.votes], [[], []]);
});

test('a vote without a quorum aborts, one of a stopped transaction stops', async () => {
  await using failed = start(new TransactionError('failed'));
  assert.equal(await failed.vote(), State.ABORT);

  await using stopped = start(new TransactionError('stopped'));
  assert.equal(await stopped.vote(), State.STOP);
});

for (const { error, code, message } of [
  {
    error: new TransactionError('canceled'),
    code: 'CANCELLED',
    message: 'transaction has been canceled',
  },
  { error: new UnknownTransactionError(7n), code: 'NOT_FOUND', message: 'transaction not found: 7' },
  {
    error: new Error('node already cast a vote: "x"'),
    code: 'INTERNAL',
    message: 'node already cast a vote: "x"',
  },
  { error: new GitalyError('DEADLINE_EXCEEDED', 'late'), code: 'DEADLINE_EXCEEDED', message: 'late' },
])
  test(`a vote and a stop fail with ${code}: ${message}`, async () => {
    await using praefect = start(error);

    await assert.rejects(praefect.vote(), { code, message });
    await assert.rejects(praefect.stop(), { code, message });
  });

test('a transaction is stopped by its id', async () => {
  await using praefect = start();

  await praefect.stop();

  assert.deepEqual(praefect.stopped, [7n]);
});
