import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { type Step, Steps } from './steps.ts';

// The archive of a repository waited for an hour, and so did the cursor.
test('a step does not wait until a clock that was set back has the time of its event', async () => {
  const ending = new AbortController();
  const done: Step[] = [];
  let attempts = 0;
  const steps = new Steps({
    run: async (step) => {
      if (step.kind === 'compare' && attempts++ < 2) throw new Error('not yet');
      done.push(step);
    },
    onFailure: () => true,
    onEnd: () => {},
    joinMs: 1,
    signal: ending.signal,
  });
  const firstMs = Date.now() + 3_600_000;
  const step = { kind: 'changes', path: 'a.git', changes: new Map(), first: 1, firstMs } as const;

  steps.add({ ...step, last: { sequence: 1, timeMs: firstMs } });
  // Its third attempt comes after 600 ms.
  steps.add({ kind: 'compare', path: 'b.git', firstMs: 0, last: { sequence: 2, timeMs: 0 } });

  try {
    await until(() => done.length === 2, 'the steps');
    assert.deepEqual(
      done.map(({ path }) => path),
      ['a.git', 'b.git'],
    );
  } finally {
    ending.abort();
    await steps.idle();
  }
});
