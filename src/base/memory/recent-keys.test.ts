import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentKeys } from './recent-keys.ts';

test('a key was noted lately until the time is over since it was noted last', () => {
  let nowMs = 0;
  const keys = new RecentKeys({ maxAgeMs: 60_000, now: () => nowMs });

  const noted = [0, 50_000, 110_000, 171_000, 172_000].map((atMs) => {
    nowMs = atMs;
    return keys.note('a');
  });

  assert.deepEqual(noted, [false, true, true, false, true]);
});

test('recent keys are told apart', () => {
  const keys = new RecentKeys({ maxAgeMs: 60_000 });
  const names = Array.from({ length: 10_000 }, (_, index) => `repository ${index}`);

  const first = names.filter((name) => keys.note(name));
  const known = names.filter((name) => keys.note(name));

  assert.deepEqual(first, []);
  // Some have lost their places to others.
  assert.ok(known.length > 4000, `${known.length} of ${names.length}`);
});
