import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseKept } from './retention.ts';

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 1000 * DAY_MS;
const retention = { keepAllMs: DAY_MS, hourly: 48, daily: 7, weekly: 4, removedMs: 0 };

/** Returns checkpoints of every half hour of some days, the oldest first. */
function halfHours(days: number) {
  return Array.from({ length: days * 48 }, (_, index) => ({
    n: index + 1,
    timeMs: NOW_MS - (days * 48 - index) * (HOUR_MS / 2),
  }));
}

test('all is kept for a day, then one state of each hour, day and week', () => {
  const checkpoints = halfHours(60);

  const { checkpoints: kept, from } = chooseKept(checkpoints, retention, NOW_MS);

  const ages = checkpoints.filter(({ n }) => kept.has(n)).map(({ timeMs }) => (NOW_MS - timeMs) / HOUR_MS);
  const between = (least: number, most: number) => ages.filter((age) => age > least && age <= most).length;
  assert.equal(between(0, 23.9), 47);
  assert.equal(between(24, 48), 24);
  assert.equal(between(48, 7 * 24), 5);
  assert.ok(between(7 * 24, 28 * 24) >= 3 && between(7 * 24, 28 * 24) <= 4);
  assert.equal(between(28 * 24, 60 * 24), 0);
  assert.equal((NOW_MS - (checkpoints[from - 1]?.timeMs ?? 0)) / HOUR_MS, 24);
});

test('an old repository keeps its last checkpoint', () => {
  const { checkpoints, from } = chooseKept([{ n: 7, timeMs: 0 }], retention, NOW_MS);

  assert.deepEqual([[...checkpoints], from], [[7], 7]);
});

test('the time in which all is kept starts from the checkpoint before it', () => {
  const none = { keepAllMs: DAY_MS, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };
  const checkpoints = [72, 30, 12, 1].map((hours, index) => ({
    n: 10 * (index + 1),
    timeMs: NOW_MS - hours * HOUR_MS,
  }));

  const { checkpoints: kept, from } = chooseKept(checkpoints, none, NOW_MS);

  assert.deepEqual([[...kept].sort(), from], [[20, 30, 40], 20]);
});
