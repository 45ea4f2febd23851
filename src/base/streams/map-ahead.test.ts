import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapAhead } from './map-ahead.ts';

test('results come in the order of the items, and at most `ahead` of them are started early', async () => {
  const finish: (() => void)[] = [];
  const begun: number[] = [];
  const results = mapAhead([0, 1, 2, 3], 2, async (item) => {
    begun.push(item);
    await new Promise<void>((resolve) => {
      finish[item] = resolve;
    });
    return item * 10;
  });

  const first = results.next();
  finish[1]?.();
  finish[0]?.();
  assert.deepEqual(await first, { done: false, value: 0 });
  assert.deepEqual(begun, [0, 1]);

  const second = results.next();
  assert.deepEqual(await second, { done: false, value: 10 });
  assert.deepEqual(begun, [0, 1, 2]);
  finish[2]?.();
  const third = results.next();
  await third;
  finish[3]?.();
  assert.deepEqual(await results.next(), { done: false, value: 30 });
  assert.deepEqual(await results.next(), { done: true, value: undefined });
});

test('an error is thrown in the order of the items', async () => {
  const results = mapAhead(['good', 'bad'], 2, async (item) => {
    if (item === 'bad') throw new Error('bad');
    return item;
  });

  assert.deepEqual(await results.next(), { done: false, value: 'good' });
  await assert.rejects(results.next(), { message: 'bad' });
});
