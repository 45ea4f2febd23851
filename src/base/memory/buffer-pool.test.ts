import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from './bulk-buffers.ts';

test('a buffer that came back is lent again, up to a number', () => {
  const pool = new BufferPool({ size: 8, maxFree: 1 });
  const [first, second] = [pool.take(), pool.take()];

  pool.give(first.subarray(0, 3));
  pool.give(second);
  pool.give(Buffer.alloc(9));

  assert.equal(pool.take().buffer, first.buffer);
  assert.notEqual(pool.take().buffer, second.buffer);
});
