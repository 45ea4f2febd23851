import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldBytes, MAX_HELD_BYTES_IN_ALL } from './held-bytes.ts';

test('items count with their bytes and with the memory for each', () => {
  using held = new HeldBytes(1000, 'patterns');

  held.add('x'.repeat(700));
  held.add('');

  assert.throws(() => held.add(''), { code: 'RESOURCE_EXHAUSTED', message: 'too many patterns' });
});

// 40 streams of ObjectsSize, each below its own limit, took all memory of the server.
test('all calls together have a limit, which a call that ends gives back', () => {
  const half = { length: MAX_HELD_BYTES_IN_ALL / 2 - 128 };
  using first = new HeldBytes(MAX_HELD_BYTES_IN_ALL, 'revisions');
  first.add(half);
  {
    using second = new HeldBytes(MAX_HELD_BYTES_IN_ALL, 'revisions');
    assert.throws(() => second.add({ length: half.length + 1 }), /too many revisions in all calls/);
    second.add({ length: 1000 });
  }

  first.add({ length: half.length - 500 });

  assert.throws(() => new HeldBytes(1000, 'refs').add({ length: 400 }), { code: 'RESOURCE_EXHAUSTED' });
});
