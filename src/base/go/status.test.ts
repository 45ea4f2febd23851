import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusName, statusText } from './status.ts';

test('a status is spelled in capitals and small letters', () => {
  assert.equal(statusName('OK'), 'OK');
  assert.equal(statusName('CANCELLED'), 'Canceled');
  assert.equal(statusName('FAILED_PRECONDITION'), 'FailedPrecondition');
  assert.equal(statusName('DATA_LOSS'), 'DataLoss');
});

test('a failed call is printed with its status', () => {
  assert.equal(statusText('NOT_FOUND', 'no x'), 'rpc error: code = NotFound desc = no x');
});
