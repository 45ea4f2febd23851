import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { VoterState } from '../transactions/subtransaction.ts';
import { outcomeOf, type WriteResult } from './outcome.ts';

const failure = new GitalyError('ABORTED', 'no');
/** An error that is none of a node. */
const plain = new Error('anything');

function resultOf(
  states: Readonly<Record<string, VoterState>>,
  {
    errors = {},
    subtransactions = 2,
    primaryVoted = true,
    targets = [],
  }: {
    errors?: Readonly<Record<string, unknown>>;
    subtransactions?: number;
    primaryVoted?: boolean;
    targets?: readonly string[];
  } = {},
): WriteResult {
  return {
    primary: 'a',
    secondaries: ['b', 'c'],
    replicationTargets: targets,
    errors: new Map(Object.entries(errors)),
    transaction: { subtransactions, primaryVoted, states: new Map(Object.entries(states)) },
  };
}

const reasonsOf = (result: WriteResult): unknown => Object.fromEntries(outcomeOf(result).reasons);
const COMMITTED = { a: 'committed', b: 'committed', c: 'committed' } as const;

// Cases of the spec, in its order.
test('nothing was written when the primary fails without a vote', () => {
  assert.equal(outcomeOf(resultOf({}, { errors: { a: failure }, subtransactions: 0 })).isWritten, false);
});

test('nothing was written when the primary is missing in the only vote', () => {
  const states = { a: 'undecided', b: 'failed', c: 'failed' } as const;
  const result = resultOf(states, { subtransactions: 1, primaryVoted: false });
  assert.equal(outcomeOf(result).isWritten, false);
});

test('nodes that did not take part are outdated', () => {
  const outcome = outcomeOf(resultOf(COMMITTED, { targets: ['d'] }));
  assert.deepEqual(outcome.updated, ['b', 'c']);
  assert.deepEqual(outcome.outdated, ['d']);
  assert.deepEqual(Object.fromEntries(outcome.reasons), { outdated: ['d'], updated: ['b', 'c'] });
});

test('without votes only the primary is known to have the write', () => {
  assert.deepEqual(reasonsOf(resultOf({}, { subtransactions: 0 })), { 'no-votes': ['b', 'c'] });
});

test('nobody agrees with a primary that did not commit', () => {
  const states = { ...COMMITTED, a: 'failed' } as const;
  assert.deepEqual(reasonsOf(resultOf(states, { errors: { a: failure } })), {
    'primary-not-committed': ['b', 'c'],
  });
});

test('a node that ends otherwise than the primary is outdated, one that ends alike is not', () => {
  const same = new GitalyError('ABORTED', 'no');
  assert.deepEqual(reasonsOf(resultOf(COMMITTED, { errors: { c: failure } })), {
    updated: ['b'],
    'node-error-status': ['c'],
  });
  assert.deepEqual(reasonsOf(resultOf(COMMITTED, { errors: { a: failure, b: same, c: same } })), {
    updated: ['b', 'c'],
  });
  const other = new GitalyError('ABORTED', 'other');
  assert.deepEqual(reasonsOf(resultOf(COMMITTED, { errors: { a: failure, b: other, c: same } })), {
    'node-error-status': ['b'],
    updated: ['c'],
  });
});

test('errors without a status are never alike', () => {
  const errors = { a: plain, b: plain, c: plain };
  assert.deepEqual(reasonsOf(resultOf(COMMITTED, { errors })), { 'node-error-status': ['b', 'c'] });
});

test('a write of the primary alone counts, also if its call fails after the vote', () => {
  const alone = (states: Readonly<Record<string, VoterState>>, options: Parameters<typeof resultOf>[1]) =>
    outcomeOf({ ...resultOf(states, options), secondaries: [] });
  const committed = { a: 'committed' } as const;
  for (const errors of [{}, { a: failure }, { a: plain }]) {
    const outcome = alone(committed, { errors, subtransactions: 1, targets: ['r'] });
    assert.deepEqual([outcome.isWritten, outcome.outdated], [true, ['r']]);
    const unvoted = { errors, subtransactions: 1, primaryVoted: false, targets: ['r'] };
    assert.equal(alone(committed, unvoted).isWritten, false);
  }
  assert.equal(alone({}, { subtransactions: 0 }).isWritten, true);
  assert.equal(alone({}, { errors: { a: plain }, subtransactions: 0 }).isWritten, false);
});

test('a call that was interrupted tells nothing about its nodes', () => {
  for (const code of ['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE'] as const) {
    const interrupted = new GitalyError(code, 'ended');
    const errors = { a: interrupted, b: interrupted, c: interrupted };
    assert.deepEqual(reasonsOf(resultOf(COMMITTED, { errors })), { 'node-error-status': ['b', 'c'] });
  }
});

test('a node that lost or left the last vote is outdated', () => {
  assert.deepEqual(reasonsOf(resultOf({ a: 'committed', b: 'failed', c: 'canceled' })), {
    'node-not-committed': ['b', 'c'],
  });
});
