import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { inflateExactly } from './inflate.ts';

const TEXT = Buffer.from('tree of some length, '.repeat(5000));

for (const size of [0, 1, 100, TEXT.length]) {
  const data = TEXT.subarray(0, size);

  test(`${size} bytes are inflated, without what is behind them`, () => {
    assert.deepEqual(inflateExactly(deflateSync(data), size), data);
    assert.deepEqual(inflateExactly(Buffer.concat([deflateSync(data), TEXT]), size), data);
  });

  test(`${size} bytes are refused that are cut off, damaged, or of another size`, () => {
    const whole = deflateSync(data);
    const damaged = Buffer.from(whole);
    damaged[whole.length - 1] = (whole[whole.length - 1] ?? 0) ^ 1;
    for (const [input, expected] of [
      [whole.subarray(0, -1), size],
      [damaged, size],
      [whole, size + 1],
      [whole, Math.max(size - 1, 0)],
      [Buffer.alloc(0), size],
    ] as const)
      if (input !== whole || expected !== size)
        assert.throws(() => inflateExactly(input, expected), { name: 'FallBackToGit' });
  });
}
