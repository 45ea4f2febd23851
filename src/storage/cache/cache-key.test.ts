import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheKey } from './cache-key.ts';

test('keys of different lists of parts differ', () => {
  const keys = [['a', 'b'], ['ab'], ['a', '', 'b'], ['b', 'a'], [Buffer.from('a')]].map(cacheKey);

  assert.equal(new Set(keys).size, 5);
  for (const key of keys) assert.match(key, /^[0-9a-f]{64}$/);
});
