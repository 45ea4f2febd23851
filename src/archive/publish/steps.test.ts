import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { type Step, Steps } from './steps.ts';

// The archive of a repository waited for an hour, and so did the cursor.
test('a step does not wait until a clock that was set back has the time of its event', async () => {
  const ending = new AbortController();
  const done: Step[] = [];
  const steps = new Steps({
    run: async (step) => void done.push(step),
    onFailure: () => assert.fail('no step fails'),
    onEnd: () => {},
    joinMs: 1,
    signal: ending.signal,
  });
  const firstMs = Date.now() + 3_600_000;
  const step = { kind: 'changes', path: 'a.git', changes: new Map(), first: 1, firstMs } as const;

  steps.add({ ...step, last: { sequence: 1, timeMs: firstMs } });

  try {
    await until(() => done.length === 1, 'the step');
  } finally {
    ending.abort();
    await steps.idle();
  }
});
