import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { gatherBytes } from './gather-bytes.ts';

test('all pieces but the last have the wanted size, and no byte is lost', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 20 }), async (source, maxBytes) => {
      async function* each() {
        for (const piece of source) yield Buffer.from(piece);
      }
      const found = await Array.fromAsync(gatherBytes(each(), maxBytes));
      assert.deepEqual(Buffer.concat(found), Buffer.concat(source));
      for (const piece of found.slice(0, -1)) assert.equal(piece.length, maxBytes);
      for (const piece of found.slice(-1)) assert.ok(piece.length > 0 && piece.length <= maxBytes);
    }),
  );
});
