import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBuckets } from './token-buckets.ts';

function arrange(burst: number, intervalMs: number) {
  const clock = { ms: 0 };
  return { clock, buckets: new TokenBuckets({ burst, intervalMs, now: () => clock.ms }) };
}

test('a burst passes, then one in each interval; keys do not share a bucket', () => {
  const { clock, buckets } = arrange(2, 1000);

  assert.deepEqual([buckets.take('a'), buckets.take('a'), buckets.take('a')], [true, true, false]);
  clock.ms = 999;
  assert.equal(buckets.take('a'), false);
  clock.ms = 1000;
  assert.deepEqual([buckets.take('a'), buckets.take('a'), buckets.take('b')], [true, false, true]);
  clock.ms = 100_000;
  assert.deepEqual([buckets.take('a'), buckets.take('a'), buckets.take('a')], [true, true, false]);
});

test('a burst of 0 lets nothing pass', () => {
  const { clock, buckets } = arrange(0, 1);
  clock.ms = 1000;
  assert.equal(buckets.take('a'), false);
});

test('full buckets are forgotten, others are kept', () => {
  const { clock, buckets } = arrange(2, 1000);
  buckets.take('a');
  for (let index = 0; index < 5000; index++) {
    clock.ms += 1;
    buckets.take('a');
    buckets.take(`${index}`);
  }

  assert.ok(buckets.size < 3000, String(buckets.size));
  assert.equal(buckets.take('a'), false);
});

test('the number of buckets is bounded', () => {
  const { buckets } = arrange(2, 1e9);
  for (let index = 0; index < 100_500; index++) buckets.take(`${index}`);
  assert.equal(buckets.size, 100_000);
});

test('keys of more than 4,096 characters share a bucket', () => {
  const { buckets } = arrange(1, 1e9);
  const longest = 'x'.repeat(4096);

  assert.deepEqual([buckets.take(longest), buckets.take(`${longest}a`)], [true, true]);
  assert.deepEqual([buckets.take(longest), buckets.take(`${longest}b`)], [false, false]);
  assert.equal(buckets.size, 2);
});
