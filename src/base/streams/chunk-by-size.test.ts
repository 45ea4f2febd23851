import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blockFor, countTurns } from '#testkit/measure/loop-turns';
import { chunkBySize } from './chunk-by-size.ts';

const sizeOf = (item: number): number => item;

async function chunks(items: number[], upperBound?: (item: number) => number): Promise<number[][]> {
  return Array.fromAsync(chunkBySize(items, { sizeOf, maxBytes: 10, ...(upperBound && { upperBound }) }));
}

test('chunks stay below the limit', async () => {
  assert.deepEqual(await chunks([4, 5, 1, 9, 3]), [[4, 5], [1], [9], [3]]);
});

test('no items give no chunk, and neither do items of size 0', async () => {
  assert.deepEqual(await chunks([]), []);
  assert.deepEqual(await chunks([0, 0]), []);
  assert.deepEqual(await chunks([0, 1]), [[0, 1]]);
});

test('a first item that is too large comes after an empty chunk', async () => {
  assert.deepEqual(await chunks([12, 1]), [[], [12], [1]]);
});

test('an upper bound changes only how often items are measured', async () => {
  const items = Array.from({ length: 500 }, (_, index) => (index * 7) % 11);
  for (const slack of [0, 1, 5])
    assert.deepEqual(await chunks(items, (item) => item + slack), await chunks(items));
});

test('items are not measured until their upper bounds reach the limit of a chunk', async () => {
  let measured = 0;
  const options = {
    sizeOf: (item: number) => ++measured && item,
    upperBound: (item: number) => item,
    maxBytes: 100,
  };

  await Array.fromAsync(chunkBySize([1, 2, 3, 4], options));

  assert.equal(measured, 1);
});

test('the first chunk is available before the source has ended', async () => {
  let asked = 0;
  function* source() {
    for (const item of [6, 6, 6, 6]) {
      asked++;
      yield item;
    }
  }
  const iterator = chunkBySize(source(), { sizeOf, maxBytes: 10 })[Symbol.asyncIterator]();

  assert.deepEqual((await iterator.next()).value, [6]);
  assert.equal(asked, 2);
});

// Symptom: other calls waited for 60 ms while the sizes of 5,000 changed paths were computed.
test('the items of a chunk are measured in slices of the event loop', async () => {
  using turns = countTurns();
  let measured = 0;
  const slow = (): number => {
    if (++measured % 64 === 0) blockFor(6);
    return 1;
  };
  const items = Array.from({ length: 5 * 64 }, () => 1);

  const all = await Array.fromAsync(
    chunkBySize(items, { sizeOf: slow, upperBound: () => 2, maxBytes: 2 * items.length }),
  );

  assert.deepEqual(all, [items]);
  assert.ok(turns.count >= 4, `${turns.count} turns`);
});
