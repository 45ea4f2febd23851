import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aggregateState } from './connection-state.ts';

test('one ready part is enough, and connecting takes precedence over failure', () => {
  assert.equal(aggregateState(['transient_failure', 'connecting', 'idle', 'ready']), 'ready');
  assert.equal(aggregateState(['transient_failure', 'idle', 'connecting']), 'connecting');
  assert.equal(aggregateState(['transient_failure', 'idle']), 'idle');
  assert.equal(aggregateState(['transient_failure']), 'transient_failure');
  assert.equal(aggregateState([]), 'transient_failure');
});
