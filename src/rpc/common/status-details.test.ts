import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusError } from './status-details.ts';

test('bytes that are not a status have no details', () => {
  const error = statusError('RESOURCE_EXHAUSTED', 'no', Buffer.from([0xff, 0xff]));

  assert.deepEqual([error.code, error.message, error.details], ['RESOURCE_EXHAUSTED', 'no', []]);
});
