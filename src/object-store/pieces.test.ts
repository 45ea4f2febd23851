import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from './open-store.ts';
import { putUnlessEmpty } from './pieces.ts';

// A git that made the bytes went on.
test('a source ends that a store does not begin to read', async () => {
  const store = await openStore('mem://');
  const ending = new AbortController();
  const reason = new Error('the client has left');
  let isOpen = true;
  const pieces = async function* () {
    try {
      ending.abort(reason);
      for (;;) yield Buffer.from('piece');
    } finally {
      isOpen = false;
    }
  };

  const putting = putUnlessEmpty(store, 'key', pieces(), { signal: ending.signal });

  await assert.rejects(putting, (error) => error === reason);
  assert.equal(isOpen, false);
});
