import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sortInTurns } from './sort-in-turns.ts';

const byRank = (one: { rank: number }, other: { rank: number }): number => one.rank - other.rank;

for (const length of [0, 1, 255, 256, 257, 5000])
  test(`${length} items are sorted as toSorted sorts them`, async () => {
    const items = Array.from({ length }, (_, index) => ({ rank: (index * 7919) % 101, index }));

    assert.deepEqual(await sortInTurns(items, byRank), items.toSorted(byRank));
  });

test('numbers are sorted, 0 among them', async () => {
  const items = Array.from({ length: 1000 }, (_, index) => (index * 7919) % 101);
  const compare = (one: number, other: number): number => one - other;

  assert.deepEqual(await sortInTurns(items, compare), items.toSorted(compare));
});

test('a sort ends when it is aborted', async () => {
  const items = Array.from({ length: 300_000 }, (_, index) => ({ rank: -index }));

  await assert.rejects(sortInTurns(items, byRank, AbortSignal.abort(new Error('enough'))), /enough/);
});
