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
  const end = afterRunning(LIMIT_MS, () => assert.fail('called'));
  end();

  await running(LIMIT_MS + 200);
});
