import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import type { Transaction } from './transaction.ts';
import {
  isVoteOutcome,
  TransactionAbortedError,
  TransactionStoppedError,
  type VoteOutcome,
  type VoteRequest,
  Voter,
  type VotingClient,
} from './voter.ts';

const TRANSACTION: Transaction = { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 };
const HASH = new Uint8Array(20).fill(1);

/** The far end of a connection, as Praefect would be. */
function farEnd(answer: VoteOutcome | undefined) {
  const requests: VoteRequest[] = [];
  const stopped: bigint[] = [];
  const client: VotingClient = {
    vote: async (request) => {
      requests.push(request);
      return answer;
    },
    stop: async (id) => void stopped.push(id),
  };
  return { requests, stopped, client };
}

/** The far end while it waits for another node. */
const WAITING: VotingClient = {
  async vote(_, { signal }) {
    if (!signal.aborted) await once(signal, 'abort');
    throw signal.reason;
  },
  stop: async () => {},
};

test('a vote carries the transaction, the phase and the hash over the connection of the call', async () => {
  const { requests, stopped, client } = farEnd('commit');
  const connected: (readonly [id: number, hasStream: boolean])[] = [];
  const delays: number[] = [];
  const voter = new Voter({
    connect: (id, hasStream) => {
      connected.push([id, hasStream]);
      return client;
    },
    observeDelay: (seconds) => delays.push(seconds),
  });
  const { signal } = new AbortController();

  await voter.vote(TRANSACTION, 'prepared', HASH, { signal });
  await voter.voteOf(TRANSACTION, { signal })?.('committed', HASH);
  await voter.stop({ ...TRANSACTION, hasVoteStream: true }, { signal });

  const request = { transactionId: 7n, node: 'gitaly-1', hash: HASH };
  assert.deepEqual(requests, [
    { ...request, phase: 'prepared' },
    { ...request, phase: 'committed' },
  ]);
  assert.deepEqual(connected, [
    [3, false],
    [3, false],
    [3, true],
  ]);
  assert.deepEqual(stopped, [7n]);
  assert.equal(delays.length, 2);
  assert.equal(voter.voteOf(undefined, { signal }), undefined);
});

for (const [outcome, message] of [
  ['abort', 'transaction was aborted'],
  ['stop', 'transaction was stopped'],
  [undefined, 'invalid transaction state'],
] as const) {
  test(`the outcome "${outcome}" is an error`, async () => {
    const voter = new Voter({ connect: () => farEnd(outcome).client });
    const { signal } = new AbortController();

    const error = await voter.vote(TRANSACTION, 'prepared', HASH, { signal }).catch((reason) => reason);

    assert.equal(error.message, message);
    const wrapped = new Error('outer', { cause: error });
    assert.equal(isVoteOutcome(wrapped, TransactionAbortedError), outcome === 'abort');
    assert.equal(isVoteOutcome(wrapped, TransactionStoppedError), outcome === 'stop');
  });
}

test('a vote that is not complete after five minutes is cancelled', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const delays: number[] = [];
  const voter = new Voter({ connect: () => WAITING, observeDelay: (seconds) => delays.push(seconds) });

  const vote = voter.vote(TRANSACTION, 'prepared', HASH, { signal: new AbortController().signal });
  context.mock.timers.tick(5 * 60_000 - 1);
  assert.equal(delays.length, 0);
  context.mock.timers.tick(1);

  // Gitaly's text.
  await assert.rejects(vote, {
    code: 'CANCELLED',
    message: 'transaction timeout 5m0s exceeded: context canceled',
  });
  assert.equal(delays.length, 1);
});

test('a vote leaves no timer and no listener', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { signal } = new AbortController();
  const signals: AbortSignal[] = [];
  const client: VotingClient = {
    vote: async (_, options) => {
      signals.push(options.signal);
      return 'commit';
    },
    stop: async () => {},
  };

  await new Voter({ connect: () => client }).vote(TRANSACTION, 'prepared', HASH, { signal });
  context.mock.timers.tick(5 * 60_000);

  assert.deepEqual(getEventListeners(signal, 'abort'), []);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [false],
  );
});

test('the end of the call ends its vote, with the reason of the call', async () => {
  const controller = new AbortController();
  const voter = new Voter({ connect: () => WAITING });

  const vote = voter.vote(TRANSACTION, 'prepared', HASH, { signal: controller.signal });
  controller.abort(new Error('the client has left'));

  await assert.rejects(vote, { message: 'the client has left' });
});

test('a call whose connection carries no votes back cannot vote', async () => {
  const voter = new Voter({
    connect: (id) => {
      throw new Error(`no backchannel for peer ${id}`);
    },
  });
  const { signal } = new AbortController();

  await assert.rejects(voter.vote(TRANSACTION, 'prepared', HASH, { signal }), {
    message: 'get backchannel: no backchannel for peer 3',
  });
});

test('a server waits for the order with the names of the references that it locks', async () => {
  const { client, requests } = farEnd('commit');
  const voter = new Voter({ connect: () => client });
  const { signal } = new AbortController();
  const names = [Buffer.from('refs/heads/a')];
  const ordered = voter.orderOf({ ...TRANSACTION, isOrdered: true }, { signal });
  const entered = voter.orderOf({ ...TRANSACTION, isEntered: true }, { signal });

  assert.equal(voter.orderOf(TRANSACTION, { signal }), undefined);
  await ordered?.(names);
  await ordered?.(undefined);
  assert.deepEqual(
    requests.splice(0).map(({ phase, hash, references }) => [phase, hash.length, references]),
    [
      ['preparing', 0, names],
      ['preparing', 0, undefined],
    ],
  );

  await entered?.(names);
  assert.deepEqual(requests, [], 'praefect has locked them');
  await entered?.(undefined);
  assert.equal(requests.length, 1);
});
