import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timerMs } from './timer-ms.ts';

test('the time of a timer is a whole number that timers accept', () => {
  assert.equal(timerMs(0), 0);
  assert.equal(timerMs(0.000001), 1);
  assert.equal(timerMs(1000.5), 1001);
  for (const ms of [2 ** 31, 2 ** 32 + 5, 2 ** 63 / 1e6, Number.POSITIVE_INFINITY])
    assert.equal(timerMs(ms), 2 ** 31 - 1);
});
