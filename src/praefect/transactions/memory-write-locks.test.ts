import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { movedClock } from '#testkit/praefect/moved-clock';
import { MAX_HOLD_MS, MAX_WAIT_MS, MemoryWriteLocks } from './memory-write-locks.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const { signal } = new AbortController();

/** Takes locks in turn, and notes the numbers of those that are held. */
function lockMany(count: number) {
  const locks = new MemoryWriteLocks();
  const held: number[] = [];
  const all = Array.from({ length: count }, async (_, number) => {
    const lock = await locks.lock(repository, BigInt(number), signal);
    held.push(number);
    return lock;
  });
  return { all, held };
}

// Born failing: ABORTED and `packed-refs locked` for writes of a long queue. All that had waited
// ten seconds went on at once, although the queue moved.
test('a write that holds its turn for long passes it to the next one, and only to that', async (context) => {
  const move = movedClock(context);
  const { all, held } = lockMany(4);
  await immediate();
  assert.deepEqual(held, [0]);

  await move(MAX_HOLD_MS - 1);
  assert.deepEqual(held, [0]);
  await move(1);
  assert.deepEqual(held, [0, 1]);

  await (await all[0])?.release();
  await immediate();
  assert.deepEqual(held, [0, 1], 'its turn has been passed on');
  await (await all[1])?.release();
  await immediate();
  assert.deepEqual(held, [0, 1, 2]);
  await move(MAX_HOLD_MS);
  assert.deepEqual(held, [0, 1, 2, 3]);
});

test('a write goes on without its turn when the time of its wait is over', async (context) => {
  const move = movedClock(context);
  const { held } = lockMany(20);

  for (let waitedMs = 0; waitedMs < MAX_WAIT_MS; waitedMs += MAX_HOLD_MS) await move(MAX_HOLD_MS);

  assert.equal(held.length, 20);
});
