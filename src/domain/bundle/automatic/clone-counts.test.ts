import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloneCounts } from './clone-counts.ts';

test('the fifth clone within a minute is worth a bundle', () => {
  let now = 0;
  const counts = new CloneCounts(() => now);
  const count = (key: string, at: number): boolean => {
    now = at;
    return counts.count(key);
  };

  assert.deepEqual(
    [0, 1, 2, 3].map((at) => count('a', at)),
    [false, false, false, false],
  );
  assert.equal(count('b', 4), false);
  assert.equal(count('a', 59_999), true);
  assert.equal(count('a', 59_999), false, 'it counts from the start again');
});

test('clones that are a minute apart are not worth one', () => {
  let now = 0;
  const counts = new CloneCounts(() => now);

  for (let index = 0; index < 20; index++) {
    now = index * 15_000;
    assert.equal(counts.count('a'), false, String(index));
  }
});
