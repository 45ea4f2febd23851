import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VoterState } from '../model/outcome.ts';
import { Transaction } from './transaction.ts';
import { TransactionError } from './transaction-error.ts';
import { planVotes } from './voters.ts';

const NODES = ['a', 'b', 'c', 'd', 'e'];
const { signal } = new AbortController();

function transactionOf(count: number): Transaction {
  const [primary = '', ...secondaries] = NODES.slice(0, count);
  const { voters, threshold } = planVotes(primary, secondaries);
  return new Transaction(1n, voters, threshold);
}

const statesOf = (transaction: Transaction): Record<string, VoterState> =>
  Object.fromEntries(transaction.states);

/** Votes for all nodes, and returns the decision that each received: `commit`, or why not. */
async function outcomes(transaction: Transaction, votes: Readonly<Record<string, string>>): Promise<unknown> {
  const told = await Promise.all(
    Object.entries(votes).map(async ([node, hash]) => [
      node,
      await transaction.vote(node, hash, signal).then(
        () => 'commit',
        (error: unknown) => (error instanceof TransactionError ? error.end : String(error)),
      ),
    ]),
  );
  return Object.fromEntries(told as [string, string][]);
}

test('the primary is never outvoted, and from two secondaries on it needs half of them', () => {
  const plans = [1, 2, 3, 4, 5].map((count) => {
    const [primary = '', ...secondaries] = NODES.slice(0, count);
    const { voters, threshold } = planVotes(primary, secondaries);
    return [voters.map(({ weight }) => weight), threshold];
  });
  assert.deepEqual(plans, [
    [[1], 1],
    [[2, 1], 2],
    [[3, 1, 1], 4],
    [[4, 1, 1, 1], 6],
    [[5, 1, 1, 1, 1], 7],
  ]);
});

for (const count of [1, 2, 3, 4, 5]) {
  test(`${count} nodes that agree commit`, async () => {
    const transaction = transactionOf(count);
    const votes = Object.fromEntries(NODES.slice(0, count).map((node) => [node, 'x']));
    const all = Object.fromEntries(NODES.slice(0, count).map((node) => [node, 'commit']));
    assert.deepEqual(await outcomes(transaction, votes), all);
    assert.deepEqual(await outcomes(transaction, votes), all);
    assert.equal(transaction.subtransactions, 2);
  });
}

test('a node that disagrees fails alone', async () => {
  const told = await outcomes(transactionOf(3), { a: 'x', b: 'y', c: 'x' });
  assert.deepEqual(told, { a: 'commit', b: 'failed', c: 'commit' });
});

test('a secondary alone with the primary cannot stop it', async () => {
  assert.deepEqual(await outcomes(transactionOf(2), { b: 'y', a: 'x' }), { b: 'failed', a: 'commit' });
});

test('no quorum without the primary, nor for it alone among three', async () => {
  const others = transactionOf(3);
  assert.deepEqual(await outcomes(others, { b: 'y', c: 'y', a: 'x' }), {
    b: 'failed',
    c: 'failed',
    a: 'failed',
  });
  await assert.rejects(others.vote('a', 'x', signal), { message: 'transaction did not reach quorum' });
});

test('the text of a lost vote has the count and the hash', async () => {
  const transaction = transactionOf(3);
  const lost = transaction.vote('b', 'ab'.repeat(20), signal);
  await Promise.all([
    assert.rejects(lost, {
      message: `transaction did not reach quorum: got 1/4 votes for ${'ab'.repeat(20)}`,
    }),
    transaction.vote('a', 'x', signal),
    transaction.vote('c', 'x', signal),
  ]);
});

test('a node that comes late is compared with what was decided', async () => {
  const transaction = transactionOf(3);
  await Promise.all([transaction.vote('a', 'x', signal), transaction.vote('b', 'x', signal)]);
  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'committed', c: 'undecided' });
  await assert.rejects(transaction.vote('c', 'y', signal), { end: 'failed' });
  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'committed', c: 'failed' });
});

test('a vote is withdrawn when its caller goes away, and the others decide without it', async () => {
  const transaction = transactionOf(3);
  const abort = new AbortController();
  const gone = transaction.vote('b', 'x', abort.signal);
  const primary = transaction.vote('a', 'x', signal);
  // b and a are enough; so b votes for something else.
  await primary;
  await gone;
  const later = transaction.vote('b', 'y', abort.signal);
  abort.abort(new Error('gone'));
  await assert.rejects(later, { message: 'gone' });
  await assert.rejects(transaction.vote('b', 'y', signal), { end: 'canceled' });
  await transaction.vote('c', 'x', signal);
  await Promise.all([transaction.vote('a', 'z', signal), transaction.vote('c', 'z', signal)]);
  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'canceled', c: 'committed' });
});

test('a vote that was decided cannot be withdrawn', async () => {
  const transaction = transactionOf(3);
  const abort = new AbortController();
  const late = transaction.vote('b', 'x', abort.signal);
  const primary = transaction.vote('a', 'x', signal);
  abort.abort(new Error('too late'));
  await primary;
  await assert.rejects(late, { message: 'cancel vote: cannot change committed vote' });
});

test('the vote of a caller that has gone already is withdrawn', async () => {
  const transaction = transactionOf(3);
  const gone = transaction.vote('b', 'x', AbortSignal.abort(new Error('gone')));

  await assert.rejects(gone, { message: 'gone' });

  assert.equal(statesOf(transaction).b, 'canceled');
});

test('a vote that was ended when its caller went away is not withdrawn', async () => {
  for (const [end, text] of [
    ['stopped', 'transaction has been stopped'],
    ['canceled', 'transaction has been canceled'],
  ] as const) {
    const transaction = transactionOf(3);
    const abort = new AbortController();
    const ended = transaction.vote('b', 'x', abort.signal);
    transaction.end(end);
    abort.abort(new Error('too late'));
    await assert.rejects(ended, { name: 'TransactionError', end, message: `cancel vote: ${text}` });
  }
});

test('a vote that was lost cannot be withdrawn', async () => {
  const transaction = transactionOf(3);
  const abort = new AbortController();
  const lost = transaction.vote('b', 'y', abort.signal);
  const others = [transaction.vote('a', 'x', signal), transaction.vote('c', 'x', signal)];
  abort.abort(new Error('too late'));
  await Promise.all(others);
  await assert.rejects(lost, { message: 'cancel vote: voter is in invalid state 2' });
});

test('a cancelled node shows, also before any vote, and stays cancelled', async () => {
  const transaction = transactionOf(2);
  transaction.cancelVoter('b');
  assert.deepEqual(statesOf(transaction), { a: 'undecided', b: 'canceled' });
  await transaction.vote('a', 'x', signal);
  await transaction.vote('a', 'y', signal);
  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'canceled' });
});

test('the vote fails when a cancelled node makes the quorum impossible', async () => {
  const transaction = transactionOf(3);
  const waiting = transaction.vote('b', 'x', signal);
  const [end] = await Promise.allSettled([waiting, Promise.resolve(transaction.cancelVoter('a'))]);
  assert.equal((end as PromiseRejectedResult).reason.end, 'failed');
});

test('a vote that was withdrawn has no weight', async () => {
  const transaction = transactionOf(3);
  const abort = new AbortController();
  const gone = transaction.vote('b', 'x', abort.signal);
  abort.abort(new Error('gone'));
  await assert.rejects(gone, { message: 'gone' });
  let isDecided = false;
  const primary = transaction.vote('a', 'x', signal).finally(() => {
    isDecided = true;
  });

  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isDecided, false, 'one of two secondaries must agree, and b has gone');
  await transaction.vote('c', 'x', signal);
  await primary;
  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'canceled', c: 'committed' });
});

test('votes do not wait for a secondary that has failed, whatever it missed', async () => {
  for (const missed of [0, 1]) {
    const transaction = transactionOf(3);
    for (let count = 0; count < missed; count++)
      await Promise.all([transaction.vote('a', 'x', signal), transaction.vote('b', 'x', signal)]);
    const primary = transaction.vote('a', 'y', signal);
    const disagreeing = transaction.vote('b', 'z', signal);
    primary.catch(() => {});
    disagreeing.catch(() => {});

    transaction.cancelVoter('c'); // it could have agreed

    await assert.rejects(primary, { end: 'failed' });
    await assert.rejects(disagreeing, { end: 'failed' });
  }
});

// Born failing: a secondary that was killed after its last vote made a new vote pending, in which
// the others took no part: the write was acknowledged, and recorded for the primary alone.
test('a secondary that fails after the last vote does not affect the others', async () => {
  const transaction = transactionOf(3);
  await outcomes(transaction, { a: 'x', b: 'x', c: 'x' });

  transaction.cancelVoter('c');
  transaction.end('canceled');

  assert.deepEqual(statesOf(transaction), { a: 'committed', b: 'committed', c: 'canceled' });
  assert.equal(transaction.subtransactions, 1);
});

// Born failing: a push that the pre-receive hook of a fast primary refused before any node had
// voted was recorded as a write of the primary alone.
test('a transaction that was stopped remains stopped when its calls have ended', async () => {
  for (const first of [undefined, 'b']) {
    const transaction = transactionOf(3);
    const vote = first === undefined ? undefined : transaction.vote(first, 'x', signal, 'synchronized');

    transaction.end('stopped');
    transaction.end('canceled');

    assert.deepEqual(statesOf(transaction), { a: 'stopped', b: 'stopped', c: 'stopped' });
    assert.equal(transaction.isStopped, true);
    assert.equal(transaction.hasChangeVotes, false);
    if (vote !== undefined) await assert.rejects(vote, { end: 'stopped' });
  }
});

test('votes at hooks and before locks are none on a change', async () => {
  for (const [phase, isChange] of [
    ['synchronized', false],
    ['preparing', false],
    ['prepared', true],
    ['committed', true],
    ['unknown', true],
  ] as const) {
    const transaction = transactionOf(1);
    await transaction.vote('a', 'x', signal, phase);
    assert.equal(transaction.hasChangeVotes, isChange, phase);
  }
});

test('without the primary the others complete what they were allowed to commit', async () => {
  for (const leave of ['its call fails', 'its vote is aborted'] as const) {
    const transaction = transactionOf(3);
    assert.equal(transaction.continueWithout('a'), false, 'nothing was committed');
    await outcomes(transaction, { a: 'x', b: 'x', c: 'x' });
    assert.equal(transaction.continueWithout('b'), false, 'the primary decides');
    const abort = new AbortController();
    const primary = assert.rejects(transaction.vote('a', 'y', abort.signal));
    if (leave === 'its call fails') assert.equal(transaction.continueWithout('a'), true);
    else {
      abort.abort(new Error('gone'));
      await primary;
    }
    assert.deepEqual(await outcomes(transaction, { b: 'y', c: 'y' }), { b: 'commit', c: 'commit' });
    await primary;
    assert.deepEqual(await outcomes(transaction, { b: 'z', c: 'z' }), { b: 'commit', c: 'commit' });
    await assert.rejects(transaction.vote('a', 'z', signal), { end: 'canceled' });
    assert.deepEqual(statesOf(transaction), { a: 'canceled', b: 'committed', c: 'committed' });
    assert.deepEqual(Object.fromEntries(transaction.commits), { a: 1, b: 3, c: 3 });
  }
});

test('without the primary secondaries that disagree do not both commit', async () => {
  const transaction = transactionOf(3);
  await outcomes(transaction, { a: 'x', b: 'x', c: 'x' });
  transaction.continueWithout('a');

  const told = await outcomes(transaction, { b: 'y', c: 'z' });

  assert.deepEqual(told, { b: 'commit', c: 'failed' });
});

test('without the primary all secondaries vote before the hash with most votes wins', async () => {
  const transaction = transactionOf(4);
  await outcomes(transaction, { a: 'x', b: 'x', c: 'x', d: 'x' });
  transaction.continueWithout('a');

  const told = await outcomes(transaction, { b: 'y', c: 'z', d: 'z' });

  assert.deepEqual(told, { b: 'failed', c: 'commit', d: 'commit' });
});

test('without the primary the vote does not wait for a secondary that fails, too', async () => {
  const transaction = transactionOf(3);
  await outcomes(transaction, { a: 'x', b: 'x', c: 'x' });
  transaction.continueWithout('a');
  const waiting = transaction.vote('b', 'y', signal);

  transaction.cancelVoter('c');

  await waiting;
});

test('stopping and cancelling end waiting votes and those to come', async () => {
  for (const end of ['stopped', 'canceled'] as const) {
    const transaction = transactionOf(3);
    const waiting = transaction.vote('a', 'x', signal);
    transaction.end(end);
    await assert.rejects(waiting, { end });
    await assert.rejects(transaction.vote('b', 'x', signal), { message: `transaction has been ${end}` });
    assert.deepEqual(statesOf(transaction), { a: end, b: end, c: end });
  }
});

test('voters that cannot decide, strangers and second votes are refused', async () => {
  const voter = (node: string, weight: number): { node: string; weight: number } => ({ node, weight });
  const refused = (voters: { node: string; weight: number }[], threshold: number, message: string): void => {
    assert.throws(() => new Transaction(1n, voters, threshold), { message });
  };
  refused([], 1, 'transaction requires at least one node');
  refused([voter('a', 1), voter('a', 1)], 2, 'transactions cannot have duplicate nodes');
  refused([voter('a', 1)], 2, 'transaction has invalid threshold');
  refused([voter('a', 1), voter('b', 1)], 1, 'transaction has invalid threshold');

  const transaction = transactionOf(3);
  await assert.rejects(transaction.vote('x', 'h', signal), { message: 'invalid node for transaction: "x"' });
  const first = transaction.vote('a', 'h', signal);
  await assert.rejects(transaction.vote('a', 'h', signal), { message: 'node already cast a vote: "a"' });
  transaction.end('canceled');
  await assert.rejects(first);
});
