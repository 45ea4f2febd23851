import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flatten } from './flatten.ts';

test('items come one by one in their order, and a reader that leaves ends the source', async () => {
  let isEnded = false;
  async function* source(): AsyncGenerator<number[]> {
    try {
      yield* [[1, 2], [], [3], [4]];
    } finally {
      isEnded = true;
    }
  }

  assert.deepEqual(await Array.fromAsync(flatten(source())), [1, 2, 3, 4]);
  isEnded = false;
  for await (const item of flatten(source())) if (item === 2) break;
  assert.ok(isEnded);
});
