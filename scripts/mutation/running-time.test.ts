import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterRunning } from './running-time.ts';

const LIMIT_MS = 500;

/** Blocks this thread: to its timers it is the same as a stop of the process. */
function stop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function running(ms: number): Promise<void> {
  await new Promise<void>((resolve) => afterRunning(ms, resolve));
}

// Mutants counted as killed by a time limit because the machine was paused.
test('the time of a stop is not counted', async () => {
  const order: string[] = [];
  const limit = running(LIMIT_MS).then(() => order.push('limit'));
  setTimeout(() => order.push('timer'), LIMIT_MS + 50);
  stop(LIMIT_MS + 200);

  await limit;

  assert.deepEqual(order, ['timer', 'limit']);
});

test('a wait that was ended calls nothing', async () => {
  afterRunning(LIMIT_MS, () => assert.fail('called')).end();

  await running(LIMIT_MS + 200);
});

// Tests that wait for something failed for a stop, and so mutants counted as killed.
test('a stop is noticed while it lasts, and behind it', async () => {
  const STOP_MS = 1_000;
  const time = afterRunning(10 * LIMIT_MS, () => {}, STOP_MS);
  assert.equal(time.wasStopped, false);

  stop(STOP_MS + 100);

  assert.equal(time.wasStopped, true);
  await running(LIMIT_MS);
  assert.equal(time.wasStopped, true);
  time.end();
});
