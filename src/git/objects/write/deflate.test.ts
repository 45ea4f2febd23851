import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { deflated, deflatedNow } from './deflate.ts';

/** Around the sizes of zlib's windows, and of what is compressed on another thread. */
const SIZES = [0, 1, 255, 512, 513, 8192, 32_768, 65_536, 65_537, 200_000];

test('data of any size is inflated to itself, whether it can be compressed or not', async () => {
  for (const size of SIZES)
    for (const data of [Buffer.alloc(size, 'abc '), randomBytes(size)]) {
      assert.deepEqual(inflateSync(await deflated(data)), data, `${size}`);
      assert.deepEqual(inflateSync(deflatedNow(data)), data, `${size}`);
    }
});

// The tables of zlib's default window made V8 collect the whole heap eight times a second.
test('the window is not larger than the data', async () => {
  const windowBits = async (size: number): Promise<number> =>
    ((await deflated(Buffer.alloc(size)))[0] ?? 0) / 16 + 8;

  assert.equal(Math.floor(await windowBits(100)), 9);
  assert.equal(Math.floor(await windowBits(3000)), 12);
  assert.equal(Math.floor(await windowBits(100_000)), 15);
});
