import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Latencies } from './call-history.ts';

test('a quantile is at most 9 % above the exact one', () => {
  const latencies = new Latencies();
  const durations = Array.from({ length: 5000 }, (_, index) => 1 + ((index * 7919) % 5000) ** 1.5 / 100);
  for (const ms of durations) latencies.add(ms);

  const sorted = durations.toSorted((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
    const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    const found = latencies.quantile(share);
    assert.ok(found >= exact && found <= exact * 1.1, `${share}: ${found} for ${exact}`);
  }
});

test('no duration has the quantile 0, also after clear, and extremes are counted', () => {
  const latencies = new Latencies();
  assert.equal(latencies.quantile(0.5), 0);
  latencies.add(0);
  assert.equal(latencies.quantile(0.5), 1);
  latencies.add(1e12);
  assert.ok(latencies.quantile(1) > 1_000_000);
  latencies.clear();
  assert.equal(latencies.quantile(0.99), 0);
});
