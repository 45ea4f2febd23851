import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLibc } from './libc.ts';
import { trimMemory } from './trim-memory.ts';

test('freed memory can be returned again and again', () => {
  for (const _ of [1, 2]) trimMemory();
  const returned = loadLibc().mallocTrim?.(0);
  assert.ok(returned === undefined || returned === 0 || returned === 1);
});
