import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { cacheKey } from './cache-key.ts';

test('keys of different lists of parts differ', () => {
  const keys = [['a', 'b'], ['ab'], ['a', '', 'b'], ['b', 'a'], [Buffer.from('a')]].map(cacheKey);

  assert.equal(new Set(keys).size, 5);
  for (const key of keys) assert.match(key, /^[0-9a-f]{64}$/);
});

test('the length of a part is that of its bytes', () => {
  const text = 'é'.repeat(8); // 16 bytes

  assert.notEqual(cacheKey([`${text}00000000`]), cacheKey([Buffer.from(text), '']));
});

test('a part that looks like a length and further parts has another key than those parts', () => {
  const later = 'e'.repeat(14);
  // Lengths of any width would make `11` of both beginnings.
  const parts = ['1', later, 'x'];
  const alike = [`e${later}1x`];
  assert.equal(alike[0]?.length, 0x11);

  assert.notEqual(cacheKey(parts), cacheKey(alike));
  const bytes = `000000011${'0000000e'}${later}00000001x`;
  assert.equal(cacheKey(parts), createHash('sha256').update(bytes).digest('hex'));
});
