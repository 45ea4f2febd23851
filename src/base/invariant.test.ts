import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, invariant, onViolation, type Violation } from './invariant.ts';

test('a condition that does not hold ends the call, and is reported once to each listener', () => {
  const seen: Violation[] = [];
  {
    using _listening = onViolation((violation) => seen.push(violation));

    invariant(true, 'pack-entries', 'none');
    assert.equal(holds(true, 'pack-entries', 'none'), true);
    assert.throws(() => invariant(false, 'pack-entries', 'first'), {
      name: 'InvariantError',
      code: 'INTERNAL',
      message: 'broken invariant: first',
    });
    assert.equal(holds(false, 'journal-order', 'second'), false);
  }
  holds(false, 'journal-order', 'after the end');

  assert.deepEqual(seen, [
    { invariant: 'pack-entries', what: 'first' },
    { invariant: 'journal-order', what: 'second' },
  ]);
});
