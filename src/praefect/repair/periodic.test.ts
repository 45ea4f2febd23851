import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { never } from '#testkit/until';
import { periodic } from './periodic.ts';

function start(context: TestContext, options: { startsAtOnce?: boolean }) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const runs: { readonly signal: AbortSignal; readonly end: () => void }[] = [];
  const work = async (signal: AbortSignal): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    runs.push({ signal, end: resolve });
    await promise;
  };
  const running = periodic(work, { intervalMs: 1000, ...options });
  const tick = async (ms: number): Promise<number> => {
    context.mock.timers.tick(ms);
    await immediate();
    return runs.length;
  };
  return { running, runs, tick };
}

test('work begins an interval after the end of the last', async (context) => {
  const { running, runs, tick } = start(context, {});
  assert.equal(await tick(999), 0);
  assert.equal(await tick(1), 1);
  assert.equal(await tick(5000), 1);
  runs[0]?.end();
  await immediate();
  assert.equal(await tick(999), 1);
  assert.equal(await tick(1), 2);

  runs[1]?.end();
  await running[Symbol.asyncDispose]();
  assert.equal(await tick(5000), 2);
});

test('work may begin at once', async (context) => {
  const { running, runs, tick } = start(context, { startsAtOnce: true });

  assert.equal(await tick(0), 1);

  runs[0]?.end();
  await running[Symbol.asyncDispose]();
});

test('work can be had earlier, also while it runs, but not later', async (context) => {
  const { running, runs, tick } = start(context, {});
  running.within(2000);
  running.within(300);
  running.within(700);
  assert.equal(await tick(299), 0);
  assert.equal(await tick(1), 1);

  running.within(100);
  runs[0]?.end();
  await immediate();
  assert.equal(await tick(99), 1);
  assert.equal(await tick(1), 2);

  runs[1]?.end();
  await immediate();
  assert.equal(await tick(999), 2);
  assert.equal(await tick(1), 3);
  runs[2]?.end();
  await running[Symbol.asyncDispose]();
});

test('the end aborts the work, waits for it, and plans no other', async (context) => {
  const { running, runs, tick } = start(context, { startsAtOnce: true });
  await tick(0);
  let isEnded = false;
  assert.equal(runs[0]?.signal.aborted, false);
  const disposed = running[Symbol.asyncDispose]().then(() => {
    isEnded = true;
  });

  assert.equal(runs[0]?.signal.aborted, true);
  await immediate();
  assert.equal(isEnded, false);
  runs[0]?.end();
  await disposed;
  assert.equal(await tick(5000), 1);
});

test('work at an interval of more than 24 days does not run at once', async () => {
  let runs = 0;
  await using _running = periodic(async () => void runs++, { intervalMs: 2 ** 31 });

  await never(() => runs > 0, 'the first run', 20);
});
