import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.ts';

test('all six units are parsed', () => {
  assert.deepEqual(
    ['1H', '2M', '3S', '4m', '5000u', '6000000n'].map(parseGrpcTimeout),
    [3_600_000, 120_000, 3000, 4, 5, 6],
  );
});

test('malformed values are refused', () => {
  for (const text of ['', '5', 'm', '5x', '-5m', '1.5S', '123456789m', '5 m', '0x5m'])
    assert.equal(parseGrpcTimeout(text), undefined, text);
});

test('an expired timeout is sent as zero', () => {
  assert.equal(formatGrpcTimeout(0), '0m');
  assert.equal(formatGrpcTimeout(-5), '0m');
  assert.equal(formatGrpcTimeout(Number.NaN), '0m');
});

test('every timeout fits the format and is not shortened', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 1e12, noNaN: true }), (milliseconds) => {
      const parsed = parseGrpcTimeout(formatGrpcTimeout(milliseconds));
      return (
        parsed !== undefined &&
        parsed >= milliseconds * (1 - 1e-9) &&
        parsed <= milliseconds * 1.01 + 0.001 + 3_600_000 * Number(milliseconds > 1e11)
      );
    }),
  );
});
