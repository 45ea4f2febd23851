import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeLeftMs } from './time-left.ts';

test('the time left is never negative, and a timer of that length is not early', () => {
  assert.equal(timeLeftMs(100, 40), 60);
  assert.equal(timeLeftMs(100, 99.9513), 1);
  assert.equal(timeLeftMs(100, 100), 0);
  assert.equal(timeLeftMs(100, 100.0487), 0);
});
