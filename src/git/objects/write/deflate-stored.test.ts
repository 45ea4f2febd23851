import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { deflateStored, STORED_OVERHEAD } from './deflate-stored.ts';

for (const length of [0, 1, 300, 5551, 5552, 5553, 12_000, 65_535]) {
  test(`${length} bytes are a stream that zlib accepts`, () => {
    for (const data of [Buffer.alloc(length, 0xff), randomBytes(length)]) {
      const stream = deflateStored(data);

      assert.equal(stream.length, length + STORED_OVERHEAD);
      assert.ok(inflateSync(stream).equals(data));
    }
  });
}

test('more than a block can hold is refused', () => {
  assert.throws(() => deflateStored(Buffer.alloc(65_536)), RangeError);
});
