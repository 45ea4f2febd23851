import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limit } from '#base/limits/limit';
import { lineLogger } from '#testkit/line-logger';
import { ADAPTIVE_LIMITS } from '../metrics/adaptive-limit-metrics.ts';
import { MetricsRegistry } from '../metrics/metrics-registry.ts';
import { AdaptiveLimits } from './adaptive-limits.ts';
import type { LoadSample } from './conditions.ts';

const QUIET: LoadSample = { atMs: 0, cgroup: undefined, eventLoopDelayMs: 0, heapShare: 0 };

function arrange(initial: number, min: number, max: number) {
  const limit = new Limit<string>({ capacityPerOwner: initial });
  const registry = new MetricsRegistry();
  const { lines: log, logger } = lineLogger('debug');
  const state = { sample: QUIET, error: undefined as Error | undefined };
  const adaptive = new AdaptiveLimits({
    limits: [{ name: 'perRPC/a.B/C', limit, min, max }],
    conditions: [
      {
        name: 'EventLoop',
        check: (_previous, { eventLoopDelayMs }) =>
          eventLoopDelayMs > 100 ? { reason: 'slow', stats: { delay: eventLoopDelayMs } } : undefined,
      },
    ],
    sample: async () => {
      if (state.error !== undefined) throw state.error;
      return state.sample;
    },
    metrics: registry.declare(ADAPTIVE_LIMITS),
    logger,
  });
  const metric = (line: string): void => assert.ok(registry.render('text').split('\n').includes(line), line);
  return { adaptive, limit, log, metric, state };
}

test('a limit grows by one in each quiet period, up to its maximum', () => {
  const { adaptive, limit, metric, log } = arrange(8, 2, 10);
  const values = [1, 2, 3].map(() => {
    adaptive.calibrate();
    return limit.maxConcurrency;
  });

  assert.deepEqual(values, [9, 10, 10]);
  metric('gitaly_concurrency_limiting_current_limit{limit="perRPC/a.B/C"} 10');
  assert.partialDeepStrictEqual(log[0], {
    level: 'debug',
    msg: 'Additive increase',
    limit_rpc: 'perRPC/a.B/C',
    previous_limit: 8,
    new_limit: 9,
  });
});

test('overload halves a limit once for each period, down to its minimum', async () => {
  const { adaptive, limit, log, metric, state } = arrange(9, 2, 10);
  await adaptive.poll();
  state.sample = { ...QUIET, eventLoopDelayMs: 150 };
  await adaptive.poll();
  await adaptive.poll();
  const values: number[] = [];
  for (let period = 0; period < 3; period++) {
    await adaptive.poll();
    adaptive.calibrate();
    values.push(limit.maxConcurrency);
  }
  adaptive.calibrate(); // without a poll since the last one

  assert.deepEqual([...values, limit.maxConcurrency], [4, 2, 2, 3]);
  metric('gitaly_concurrency_limiting_backoff_events_total{watcher="EventLoop"} 5');
  assert.partialDeepStrictEqual(log[0], {
    level: 'info',
    msg: 'Multiplicative decrease',
    limit_rpc: 'perRPC/a.B/C',
    previous_limit: 9,
    new_limit: 4,
    condition: 'EventLoop',
    reason: 'slow',
    'stats.delay': 150,
  });
});

test('a load that cannot be measured is not an overload', async () => {
  const { adaptive, limit, log, state } = arrange(3, 1, 10);
  await adaptive.poll();
  state.error = new Error('no such file');
  await adaptive.poll();
  adaptive.calibrate();

  assert.equal(limit.maxConcurrency, 4);
  assert.equal(log[0]?.msg, 'could not measure the load');
});
