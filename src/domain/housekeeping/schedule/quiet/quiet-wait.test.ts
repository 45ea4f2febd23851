import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { QuietWait } from './quiet-wait.ts';

// One failed measurement, and no maintenance was started any more.
test('after a measurement that fails, which is reported once, waiting goes on', async () => {
  const problems: unknown[] = [];
  let nowMs = 0;
  let readings = 0;
  const wait = new QuietWait({
    sensor: {
      start: () => ({ [Symbol.dispose]: () => {} }),
      read: async () => {
        nowMs += 10_000;
        if (++readings <= 2) throw new Error('too many open files');
        return { host: { calls: 0, busyCalls: 9, eventLoopDelayMs: 0, cpuPressure: 0 }, targets: [] };
      },
    },
    maxWaiting: 1,
    now: () => nowMs,
    onProblem: (error) => problems.push(error),
  });
  using _wait = wait;
  let hasRun = false;

  wait.add({
    target: { storageName: 'default', relativePath: 'a.git' },
    tasks: new Set(),
    run: () => {
      hasRun = true;
      return true;
    },
  });

  await until(() => hasRun);
  assert.equal(wait.size, 0);
  assert.equal(String(problems), 'Error: too many open files');
});
