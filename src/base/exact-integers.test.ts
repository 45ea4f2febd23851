import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWithExactIntegers } from './exact-integers.ts';

test('integers of 64 bits survive, and other numbers stay numbers', () => {
  const text = '{"id":18446744073709551615,"list":[-9007199254740993],"small":7,"float":1.5,"huge":1e99}';

  assert.deepEqual(parseWithExactIntegers(text), {
    id: 18_446_744_073_709_551_615n,
    list: [-9_007_199_254_740_993n],
    small: 7,
    float: 1.5,
    huge: 1e99,
  });
});
