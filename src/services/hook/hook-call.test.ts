import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_CHANGES_BYTES } from '#domain/hooks/relay/relay-parser';
import { readInput } from './hook-call.ts';

async function* pieces(...sizes: readonly number[]) {
  const largest = Buffer.alloc(1 << 20, 'x');
  for (const size of sizes) yield { stdin: largest.subarray(0, size) };
}

test('the input of a hook is read to its end', async () => {
  assert.equal((await readInput(pieces(3, 0, 4))).toString(), 'xxxxxxx');
  assert.equal((await readInput(pieces())).length, 0);
});

test('an input longer than any push is refused', async () => {
  const sizes = Array.from({ length: MAX_CHANGES_BYTES >> 20 }, () => 1 << 20);

  await assert.rejects(readInput(pieces(...sizes, 1)), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'too many reference updates',
  });
});

// Before, empty messages counted for nothing, and each took memory.
test('input in any number of empty messages is refused', async () => {
  const empty = Array.from({ length: 1000 }, () => 0);

  await assert.rejects(readInput(pieces(...empty), 100_000), { code: 'RESOURCE_EXHAUSTED' });
});
