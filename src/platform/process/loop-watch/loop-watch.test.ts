// Own process: it blocks the event loop, and its timer must not be one that another file moves

import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { watchThreadStarted } from '#testkit/measure/watch-thread';
import { until } from '#testkit/until';
import { BLOCKED_MS, type LoopBlock, STILL_BLOCKED_MS, watchLoop } from './loop-watch.ts';

const context = new AsyncLocalStorage<string>();

/** Watches until it is disposed, and collects what is reported. */
function watched(): Disposable & { readonly blocks: LoopBlock<string | undefined>[] } {
  const blocks: LoopBlock<string | undefined>[] = [];
  const watching = watchLoop({
    capture: () => context.getStore(),
    onBlocked: (block) => void blocks.push(block),
  });
  return { blocks, [Symbol.dispose]: () => watching[Symbol.dispose]() };
}

function burnsUntil(isOver: () => boolean): void {
  while (!isOver());
}

const burnsFor = (ms: number): void => {
  const end = performance.now() + ms;
  burnsUntil(() => performance.now() >= end);
};

for (const { name, run, frame } of [
  { name: 'a loop', run: () => burnsFor(1400), frame: /at burnsUntil/ },
  {
    name: 'a wait of the system',
    run: function waitsLong() {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1400);
    },
    frame: /at waitsLong|at Object\.waitsLong/,
  },
]) {
  test(`${name} of more than a second is reported with its stack and its context`, async () => {
    using at = watched();
    await watchThreadStarted();

    await context.run('the call', async () => {
      await Promise.resolve();
      run();
    });
    await until(() => at.blocks.length > 0);

    const [block] = at.blocks;
    assert.equal(at.blocks.length, 1);
    assert.equal(block?.isOver, true);
    assert.ok((block?.blockedMs ?? 0) >= BLOCKED_MS && (block?.blockedMs ?? 0) < 5000);
    assert.match(block?.stack.join('\n') ?? '', frame);
    assert.equal(block?.captured, 'the call');
  });
}

test('a block that goes on is reported before its end, and again at its end', async () => {
  using at = watched();
  await watchThreadStarted();

  const isReported = (): boolean => at.blocks.length > 0;
  const limit = performance.now() + 4 * STILL_BLOCKED_MS;
  burnsUntil(() => isReported() || performance.now() > limit);
  const first = at.blocks[0];
  await until(() => at.blocks.length > 1);

  assert.equal(first?.isOver, false);
  assert.ok((first?.blockedMs ?? 0) >= STILL_BLOCKED_MS);
  assert.match(first?.stack.join('\n') ?? '', /burnsUntil/);
  assert.equal(at.blocks[1]?.isOver, true);
  assert.deepEqual(at.blocks[1]?.stack, first?.stack);
});

test('many short turns are no block', async () => {
  using at = watched();
  await watchThreadStarted();

  for (let turn = 0; turn < 30; turn++) {
    burnsFor(60);
    await new Promise((resolve) => void setTimeout(resolve, 1)); // ends the turn
  }

  assert.deepEqual(at.blocks, []);
});

test('microtasks and timers do not run in the middle of the code that is looked at', async () => {
  using at = watched();
  await watchThreadStarted();
  let isOver = false;
  const early: string[] = [];
  queueMicrotask(() => isOver || early.push('microtask'));
  setImmediate(() => isOver || early.push('immediate'));

  burnsFor(1300);
  isOver = true;
  await until(() => at.blocks.length > 0);

  assert.deepEqual(early, []);
});
