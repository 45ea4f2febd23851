import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partOf } from './part-of.ts';

test('a range has exactly its bytes, however the content is cut', async () => {
  const content = Buffer.from('0123456789');
  for (let size = 1; size <= content.length; size++) {
    let read = 0;
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < content.length; at += size) {
        read = Math.min(content.length, at + size);
        yield content.subarray(at, at + size);
      }
    };
    for (let start = 0; start < content.length; start++)
      for (let length = 1; start + length <= content.length; length++) {
        const parts = await Array.fromAsync(partOf(chunks(), { start, length }));

        assert.equal(Buffer.concat(parts).toString(), content.toString('latin1', start, start + length));
        assert.ok(read < start + length + size, 'it reads no further');
      }
  }
});
