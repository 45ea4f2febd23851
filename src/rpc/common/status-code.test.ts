import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUS_CODES, statusCode, statusGoName, statusNumber } from './status-code.ts';

test('every status survives the way to its number and back', () => {
  for (const code of STATUS_CODES) assert.equal(statusCode(statusNumber(code)), code);
  assert.equal(STATUS_CODES.length, 17);
  assert.equal(statusNumber('UNAUTHENTICATED'), 16);
});

test('a number outside of the table is UNKNOWN', () => {
  assert.equal(statusCode(17), 'UNKNOWN');
  assert.equal(statusCode(-1), 'UNKNOWN');
  assert.equal(statusCode(Number.NaN), 'UNKNOWN');
});

test('the log spells a status as Go does', () => {
  assert.equal(statusGoName('OK'), 'OK');
  assert.equal(statusGoName('CANCELLED'), 'Canceled');
  assert.equal(statusGoName('FAILED_PRECONDITION'), 'FailedPrecondition');
  assert.equal(statusGoName('DATA_LOSS'), 'DataLoss');
});
