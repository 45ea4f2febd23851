import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldBytes } from './held-bytes.ts';

test('items count with their bytes and with the memory for each', () => {
  const held = new HeldBytes(1000, 'patterns');

  held.add('x'.repeat(700));
  held.add('');

  assert.throws(() => held.add(''), { code: 'RESOURCE_EXHAUSTED', message: 'too many patterns' });
});
