import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUS_CODES } from '#base/gitaly-error';
import { statusCode, statusNumber } from './status-code.ts';

test('every status converts to its number and back', () => {
  for (const code of STATUS_CODES) assert.equal(statusCode(statusNumber(code)), code);
  assert.equal(STATUS_CODES.length, 17);
  assert.equal(statusNumber('UNAUTHENTICATED'), 16);
});

test('an unknown number is UNKNOWN', () => {
  assert.equal(statusCode(17), 'UNKNOWN');
  assert.equal(statusCode(-1), 'UNKNOWN');
  assert.equal(statusCode(Number.NaN), 'UNKNOWN');
});
