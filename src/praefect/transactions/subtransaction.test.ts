import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
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
