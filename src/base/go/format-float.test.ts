import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFloat } from './format-float.ts';

test('numbers far from 1 have an exponent of two digits', () => {
  assert.deepEqual([0.001, 0.005, 1, 1500, 262144, 1048576, 1e9, 0.00001, 0].map(formatFloat), [
    '0.001',
    '0.005',
    '1',
    '1500',
    '262144',
    '1.048576e+06',
    '1e+09',
    '1e-05',
    '0',
  ]);
});
