import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptBytes } from './kept-bytes.ts';

test('bytes that are kept are joined in memory that holds nothing else', () => {
  const joined = keptBytes([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c')]);

  assert.deepEqual(joined, Buffer.from('abc'));
  assert.equal(joined.buffer.byteLength, 3);
  assert.equal(keptBytes([]).length, 0);
});
