import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRun } from './catalog.ts';
import { keptRunIds, type Retention } from './retention.ts';

const NONE: Retention = { last: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

const runAt = (time: string, isEnded = true): StoredRun => ({
  id: time,
  modifiedMs: Date.parse(`${time}Z`),
  repositories: 1,
  isEnded,
  isPartial: false,
});

const RUNS = [
  '2025-12-31T23:00',
  '2026-10-31T01:00',
  '2026-11-14T01:00', // a Saturday
  '2026-11-15T01:00', // a Sunday
  '2026-11-16T01:00', // a Monday
  '2026-11-16T23:59',
  '2026-11-17T00:00',
  '2026-11-17T12:00',
].map((time) => runAt(time));

for (const [retention, kept] of [
  [{}, ['2026-11-17T12:00']],
  [{ last: 3 }, ['2026-11-16T23:59', '2026-11-17T00:00', '2026-11-17T12:00']],
  [{ daily: 3 }, ['2026-11-15T01:00', '2026-11-16T23:59', '2026-11-17T12:00']],
  [{ weekly: 2 }, ['2026-11-15T01:00', '2026-11-17T12:00']],
  [{ weekly: 3 }, ['2026-10-31T01:00', '2026-11-15T01:00', '2026-11-17T12:00']],
  [{ monthly: 9 }, ['2025-12-31T23:00', '2026-10-31T01:00', '2026-11-17T12:00']],
  [{ yearly: 1, daily: 2 }, ['2026-11-16T23:59', '2026-11-17T12:00']],
] as const)
  test(`of ${JSON.stringify(retention)} the newest of each period is kept`, () => {
    assert.deepEqual([...keptRunIds(RUNS, { ...NONE, ...retention })].sort(), kept);
  });

test('a complete run is kept rather than a partial one', () => {
  const partial = (time: string): StoredRun => ({ ...runAt(time), isPartial: true });
  const runs = [
    runAt('2026-11-13T01:00'),
    runAt('2026-11-14T01:00'),
    partial('2026-11-15T01:00'),
    partial('2026-11-15T02:00'),
    runAt('2026-11-16T01:00'),
    partial('2026-11-16T02:00'),
    partial('2026-11-17T01:00'),
  ];

  assert.deepEqual([...keptRunIds(runs, { ...NONE, daily: 3 })].sort(), [
    '2026-11-15T02:00',
    '2026-11-16T01:00',
    '2026-11-17T01:00',
  ]);
  assert.deepEqual([...keptRunIds(runs, { ...NONE, last: 2 })].sort(), [
    '2026-11-16T01:00',
    '2026-11-16T02:00',
    '2026-11-17T01:00',
  ]);
});

test('runs that were interrupted do not count, and the newest one is kept', () => {
  const runs = [
    runAt('2026-11-15T00:00'),
    runAt('2026-11-16T00:00', false),
    runAt('2026-11-17T00:00', false),
  ];

  assert.deepEqual([...keptRunIds(runs, { ...NONE, daily: 2 })].sort(), [
    '2026-11-15T00:00',
    '2026-11-17T00:00',
  ]);
  assert.deepEqual([...keptRunIds([], { ...NONE, daily: 2 })], []);
});
