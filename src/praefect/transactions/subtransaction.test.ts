import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { onViolation, type Violation } from '#base/invariant';
import { Subtransaction } from './subtransaction.ts';
import { planVotes } from './voters.ts';

const { signal } = new AbortController();
const stays = (): void => {};

function subtransactionOf(...secondaries: string[]): Subtransaction {
  const { voters, threshold } = planVotes('a', secondaries);
  return new Subtransaction(voters, threshold);
}

test('a node that has not voted before the decision cannot be cancelled after it', async () => {
  const subtransaction = subtransactionOf('b');
  await subtransaction.vote('a', 'x', signal, stays);

  assert.throws(() => subtransaction.cancelVoter('b'), {
    message: 'cancel vote: subtransaction was already finished',
  });

  assert.equal(subtransaction.state('b'), 'undecided');
  await subtransaction.vote('b', 'x', signal, stays);
});

test('the loss of the primary changes no decision', async () => {
  const subtransaction = subtransactionOf('b', 'c');
  await Promise.all(['a', 'b'].map((node) => subtransaction.vote(node, 'x', signal, stays)));

  subtransaction.continueWithout('a');

  await assert.rejects(subtransaction.vote('c', 'y', signal, stays), { end: 'failed' });
  assert.deepEqual(Object.fromEntries(subtransaction.states), {
    a: 'committed',
    b: 'committed',
    c: 'failed',
  });
});

test('the signal of a call is not listened to after its vote', async () => {
  const { signal: ofCall } = new AbortController();
  const subtransaction = subtransactionOf('b', 'c');
  const voting = subtransaction.vote('a', 'x', ofCall, stays);
  assert.equal(getEventListeners(ofCall, 'abort').length, 1);

  await Promise.all([voting, subtransaction.vote('b', 'x', signal, stays)]);

  assert.equal(getEventListeners(ofCall, 'abort').length, 0);
});

test('a vote in which two values could win is refused', () => {
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));
  const voters = ['a', 'b'].map((node) => ({ node, weight: 1 }));

  assert.throws(() => new Subtransaction(voters, 1), { code: 'INTERNAL' });

  assert.deepEqual(broken, [{ invariant: 'vote-weights', what: 'two values of a vote can win' }]);
});

test('a node does not get to commit another value than one before it, whatever its weight is', async () => {
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));
  let reads = 0;
  const late = {
    node: 'b',
    get weight() {
      return ++reads === 1 ? 3 : 0; // heavier in the count than in the check
    },
  };
  const subtransaction = new Subtransaction([{ node: 'a', weight: 2 }, late], 2);
  await subtransaction.vote('a', 'x', signal, stays);

  await assert.rejects(subtransaction.vote('b', 'y', signal, stays), { code: 'INTERNAL' });

  assert.equal(subtransaction.state('b'), 'undecided');
  assert.deepEqual(broken, [{ invariant: 'vote-weights', what: 'two values of a vote have won' }]);
});
