import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededShare } from './seeded-share.ts';
import { isSoak } from './soak.ts';

const ITEMS = Array.from({ length: 40 }, (_, index) => index);

test('a share has its size and the order of the sweep, and all shares together have all items', {
  skip: isSoak && 'the soak tries everything',
}, () => {
  const tried = new Set<number>();
  for (let seed = 0; seed < 60; seed++) {
    const share = seededShare(ITEMS, 0.25, seed);

    assert.equal(share.length, 10);
    assert.deepEqual(
      share,
      share.toSorted((a, b) => a - b),
    );
    assert.deepEqual(seededShare(ITEMS, 0.25, seed), share, 'a seed repeats its choice');
    for (const item of share) tried.add(item);
  }
  assert.equal(tried.size, ITEMS.length);
  assert.deepEqual(seededShare(['only'], 0.01), ['only']);
});
