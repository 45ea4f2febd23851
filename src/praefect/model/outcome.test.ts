import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { VoterState } from './outcome.ts';
import { isMinority, outcomeOf, type WriteResult } from './outcome.ts';

const failure = new GitalyError('ABORTED', 'no');
/** An error that is none of a node. */
const plain = new Error('anything');

function resultOf(
  states: Readonly<Record<string, VoterState>>,
  {
    errors = {},
    subtransactions = 2,
    primaryVoted = true,
    hasChangeVotes = subtransactions > 0,
    isStopped = states.a === 'stopped',
    targets = [],
    commits = { a: 2, b: 2, c: 2 },
  }: {
    errors?: Readonly<Record<string, unknown>>;
    subtransactions?: number;
    primaryVoted?: boolean;
    hasChangeVotes?: boolean;
    isStopped?: boolean;
    targets?: readonly string[];
    commits?: Readonly<Record<string, number>>;
  } = {},
): WriteResult {
  return {
    primary: 'a',
    secondaries: ['b', 'c'],
    replicationTargets: targets,
    errors: new Map(Object.entries(errors)),
    transaction: {
      subtransactions,
      primaryVoted,
      hasChangeVotes,
      isStopped,
      states: new Map(Object.entries(states)),
      commits: new Map(Object.entries(commits)),
    },
  };
}

const reasonsOf = (result: WriteResult): unknown => Object.fromEntries(outcomeOf(result).reasons);
const COMMITTED = { a: 'committed', b: 'committed', c: 'committed' } as const;

// Cases of the spec, in its order.
test('nothing was written when the primary fails without a vote', () => {
  assert.deepEqual(outcomeOf(resultOf({}, { errors: { a: failure }, subtransactions: 0 })), {
    ...{ isWritten: false, updated: [], outdated: [], reasons: new Map() },
    ...{ successors: [], isCompleted: false },
  });
});

// Born failing: an update of a branch with a wrong old value, or one that the update hook refused,
// outdated all secondaries.
test('nothing was written when the primary refuses after votes at hooks only', () => {
  const stale = new GitalyError('FAILED_PRECONDITION', 'stale');
  const atHooks = { hasChangeVotes: false, subtransactions: 3, targets: ['d'] };
  const refused = { ...atHooks, errors: { a: stale, b: stale, c: canceled } };
  const stopped = { a: 'stopped', b: 'stopped', c: 'canceled' } as const;

  assert.equal(outcomeOf(resultOf(COMMITTED, refused)).isWritten, false);
  assert.equal(outcomeOf(resultOf(stopped, atHooks)).isWritten, false);
  // Stopped after the primary has committed a vote that a slow secondary has not cast.
  const late = { a: 'committed', b: 'committed', c: 'stopped' } as const;
  assert.equal(outcomeOf(resultOf(late, { ...atHooks, isStopped: true })).isWritten, false);
  assert.equal(outcomeOf(resultOf({ ...COMMITTED }, atHooks)).isWritten, true);
  assert.equal(outcomeOf(resultOf(COMMITTED, { ...refused, hasChangeVotes: true })).isWritten, true);
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

const gone = new GitalyError('UNAVAILABLE', 'gone');
const canceled = new GitalyError('CANCELLED', 'context canceled');
const successorsOf = (result: WriteResult): unknown => outcomeOf(result).successors;

// Born failing: the primary was recorded as the only one with the write, and its repository was off
// line until it came back.
test('nothing was written when the primary goes before it may commit', () => {
  for (const error of [gone, canceled]) {
    const states = { a: 'canceled', b: 'canceled', c: 'canceled' } as const;
    const result = resultOf(states, { errors: { a: error, b: canceled, c: canceled }, commits: {} });
    assert.equal(outcomeOf(result).isWritten, false);
  }
});

test('when the primary is lost, those that completed the write stand for the repository', () => {
  const states = { ...COMMITTED, a: 'canceled' } as const;
  const outcome = outcomeOf(resultOf(states, { errors: { a: gone }, targets: ['d'] }));
  assert.deepEqual([outcome.successors, outcome.isCompleted], [[['b', 'c']], true]);
  assert.deepEqual(outcome.outdated, ['d', 'b', 'c'], 'what is recorded is decided by the store');
});

test('when the primary is lost, those that have none of the write come second, then each other', () => {
  const states = { a: 'canceled', b: 'canceled', c: 'canceled' } as const;
  const errors = { a: gone, b: canceled, c: canceled };
  assert.deepEqual(successorsOf(resultOf(states, { errors, commits: { a: 1, b: 0, c: 1 } })), [['b'], ['c']]);
  assert.deepEqual(successorsOf(resultOf(states, { errors, commits: { a: 1, b: 1, c: 1 } })), [['b'], ['c']]);
  assert.deepEqual(successorsOf(resultOf(states, { errors, commits: { a: 1, b: 0, c: 0 } })), [['b', 'c']]);
  const mixed = { ...states, c: 'committed' } as const;
  const outcome = outcomeOf(resultOf(mixed, { errors: { a: gone, b: canceled }, commits: { a: 1, c: 1 } }));
  assert.deepEqual(outcome.successors, [['c'], ['b']]);
});

test('a secondary that is lost with the primary comes last', () => {
  const states = { a: 'canceled', b: 'canceled', c: 'canceled' } as const;
  const errors = { a: gone, b: gone, c: canceled };
  assert.deepEqual(successorsOf(resultOf(states, { errors, commits: { a: 1, b: 0, c: 1 } })), [['c'], ['b']]);
});

test('a group is reachable if one of its nodes is, although others are lost with the primary', () => {
  const errors = { a: gone, b: gone, c: canceled, d: canceled };
  const result = resultOf({}, { errors, commits: { a: 1, b: 0, c: 0, d: 1 } });
  const outcome = outcomeOf({ ...result, secondaries: ['b', 'c', 'd'] });
  assert.deepEqual([outcome.successors, outcome.isCompleted], [[['b', 'c'], ['d']], false]);
});

test('a primary that was only interrupted is replaced by those that completed the write', () => {
  const states = { ...COMMITTED, a: 'canceled' } as const;
  assert.deepEqual(successorsOf(resultOf(states, { errors: { a: canceled, c: canceled } })), [['b']]);
  const errors = { a: canceled, b: canceled, c: canceled };
  assert.deepEqual(successorsOf(resultOf(states, { errors })), []);
});

test('a primary with an error of its own, or with none, has no successors', () => {
  for (const errors of [{}, { a: failure }])
    assert.deepEqual(successorsOf(resultOf(COMMITTED, { errors })), []);
});

test('an acknowledgement stands for at least half of the secondaries that voted', () => {
  const isRefused = (errors: Readonly<Record<string, unknown>>, options = {}): boolean => {
    const result = resultOf(COMMITTED, { errors, ...options });
    return isMinority(result, outcomeOf(result));
  };
  assert.equal(isRefused({}), false);
  assert.equal(isRefused({ b: gone }), false);
  assert.equal(isRefused({ b: gone, c: gone }), true);
  assert.equal(isRefused({}, { subtransactions: 0 }), false, 'there were no votes');
  const states = { ...COMMITTED, d: 'committed' } as const;
  for (const { lost, expected } of [
    { lost: { b: gone }, expected: false },
    { lost: { b: gone, c: gone }, expected: true },
  ]) {
    const four = { ...resultOf(states, { errors: lost }), secondaries: ['b', 'c', 'd'] };
    assert.equal(isMinority(four, outcomeOf(four)), expected, 'two of three are half of them');
  }
  const two = { ...resultOf(COMMITTED, { errors: { b: gone } }), secondaries: ['b'] };
  assert.equal(isMinority(two, outcomeOf(two)), false, 'of two nodes the primary is enough');
});

// Born failing: a failed post-receive hook made all secondaries outdated, and the call UNAVAILABLE.
test('secondaries with all votes of a primary that stopped the others have the write', () => {
  const stopped = { a: 'stopped', b: 'stopped', c: 'stopped' } as const;
  const errors = { b: failure, c: failure };
  const both = resultOf(stopped, { errors });
  assert.deepEqual(outcomeOf(both).updated, ['b', 'c']);
  assert.equal(isMinority(both, outcomeOf(both)), false);

  const one = resultOf(stopped, { errors, commits: { a: 2, b: 2, c: 1 } });
  assert.deepEqual(outcomeOf(one).updated, ['b']);
  assert.deepEqual(outcomeOf(one).outdated, ['c']);

  const none = resultOf(stopped, { errors, commits: { a: 1, b: 0, c: 0 } });
  assert.deepEqual(outcomeOf(none).outdated, ['b', 'c']);
  assert.equal(isMinority(none, outcomeOf(none)), false, 'nothing was written that is acknowledged');

  const failed = resultOf(stopped, { errors: { ...errors, a: failure } });
  assert.deepEqual(outcomeOf(failed).updated, [], 'the primary has failed');
});
