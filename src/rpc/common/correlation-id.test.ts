import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newCorrelationId } from './correlation-id.ts';

test('an id is a ULID that starts with its time', () => {
  assert.match(newCorrelationId(), /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  // example of the ULID specification
  assert.equal(newCorrelationId(1_469_918_176_385).slice(0, 10), '01ARYZ6S41');
});

test('ids of one millisecond differ', () => {
  const ids = new Set(Array.from({ length: 1000 }, () => newCorrelationId(5)));

  assert.equal(ids.size, 1000);
});
