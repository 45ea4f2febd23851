import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dateOfSeconds } from './date-of-seconds.ts';

for (const [seconds, expected] of [
  [0n, '1970-01-01T00:00:00.000Z'],
  [-1n, '1969-12-31T23:59:59.000Z'],
  [1_700_000_000n, '2023-11-14T22:13:20.000Z'],
  [8_640_000_000_000n, '+275760-09-13T00:00:00.000Z'],
  // What git shows for times that it cannot represent.
  [8_640_000_000_001n, '1970-01-01T00:00:00.000Z'],
  [2n ** 53n, '1970-01-01T00:00:00.000Z'],
  [18_446_744_073_709_548_016n, '1970-01-01T00:00:00.000Z'],
  [-(2n ** 63n), '1970-01-01T00:00:00.000Z'],
  [Number.NaN, '1970-01-01T00:00:00.000Z'],
] as const) {
  test(`${seconds} seconds are ${expected}`, () => {
    assert.equal(dateOfSeconds(seconds).toISOString(), expected);
  });
}
