import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextStart } from './daily-window.ts';

const window = { startHour: 12, startMinute: 30, durationMs: 600_000 };

test('the window starts today if its time is still to come', () => {
  assert.deepEqual(nextStart(window, new Date(2026, 10, 21, 3, 0)), new Date(2026, 10, 21, 12, 30));
  const between = new Date(2026, 10, 21, 12, 29, 59, 999);
  assert.deepEqual(nextStart(window, between), new Date(2026, 10, 21, 12, 30));
});

test('the window starts tomorrow from its time on', () => {
  assert.deepEqual(nextStart(window, new Date(2026, 10, 21, 12, 30)), new Date(2026, 10, 22, 12, 30));
  assert.deepEqual(nextStart(window, new Date(2026, 11, 31, 23, 0)), new Date(2027, 0, 1, 12, 30));
});
