import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalLength } from './equal-length.ts';

for (const limit of [0, 1, 255, 256, 257, 700, 5000])
  test(`each number of equal bytes is found, up to ${limit}`, () => {
    const one = Buffer.alloc(limit);
    for (const different of [
      ...[0, 1, 254, 255, 256, 257, 511, 767, 768, 769, 4999].filter((at) => at < limit),
      limit,
    ]) {
      const other = Buffer.from(one);
      if (different < limit) other[different] = 1;

      const same = equalLength(limit, (from, to) => {
        assert.ok(from < to && to <= limit, `${from} ${to}`);
        return one.compare(other, from, to, from, to) === 0;
      });

      assert.equal(same, different);
    }
  });
