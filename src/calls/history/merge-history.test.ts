import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerHistory } from './call-history.ts';
import { mergeHistory } from './merge-history.ts';

function historyOf(time: string, calls: number, p50: number, p99: number): ServerHistory {
  return {
    interval_seconds: 10,
    samples: [
      {
        time,
        calls_per_second: calls,
        errors_per_second: 1,
        p50_ms: p50,
        p99_ms: p99,
        memory_bytes: 100,
        cpu_cores: 0.5,
      },
    ],
    slow_ms: 500,
    slow_calls: [],
  };
}

test('the figures of the processes of a server are added, interval by interval', () => {
  const own = historyOf('2026-01-01T00:00:03Z', 10, 2, 9);
  const worker = historyOf('2026-01-01T00:00:08Z', 30, 6, 20);
  const earlier = historyOf('2025-12-31T23:59:58Z', 1000, 1, 100);

  assert.deepEqual(mergeHistory(own, [worker, earlier]).samples, [
    {
      time: '2026-01-01T00:00:03Z',
      calls_per_second: 40,
      errors_per_second: 2,
      p50_ms: 5,
      p99_ms: 20,
      memory_bytes: 200,
      cpu_cores: 1,
    },
  ]);
});

test('a process without others has its own figures, and one other is added', () => {
  const own = historyOf('2026-01-01T00:00:03Z', 10, 2, 9);
  const other = historyOf('2026-01-01T00:00:04Z', 10, 4, 7);

  assert.deepEqual(mergeHistory(own, []), own);
  const [sample] = mergeHistory(own, [other]).samples;
  assert.deepEqual([sample?.calls_per_second, sample?.p50_ms, sample?.p99_ms], [20, 3, 9]);
});

test('the newest slow calls of all processes are kept, newest first', () => {
  const half = 60;
  const at = (second: number): string => new Date(second * 1000).toISOString();
  const historyWith = (first: number): ServerHistory => {
    // Only the time decides.
    const slowCalls = Array.from({ length: half }, (_, index) => ({ time: at(first + 2 * index) }));
    return { ...historyOf(at(0), 1, 1, 1), slow_calls: slowCalls as unknown as ServerHistory['slow_calls'] };
  };

  const merged = mergeHistory(historyWith(0), [historyWith(1)]);

  assert.deepEqual(
    merged.slow_calls.map(({ time }) => time),
    Array.from({ length: 100 }, (_, index) => at(2 * half - 1 - index)),
  );
});
