import { test } from 'node:test';
import { ConflictQueue } from '#praefect/transactions/conflict-queue';
import { assertLinearTime } from '#testkit/measure/time-growth';

const NAMES = 8;

/** Writes to references of their own enter a queue. */
function enter(queue: ConflictQueue, count: number): void {
  for (let left = count; left > 0; left--) {
    const references = Array.from({ length: NAMES }, (_, index) => `refs/heads/${queue.size}/${index}`);
    queue.enter(references, () => {});
  }
}

test('writes wait for others in a time that grows linearly with their number', async () => {
  await assertLinearTime((size) => {
    const queue = new ConflictQueue();
    enter(queue, size);
    const ofAll = queue.enter(undefined, () => {});
    enter(queue, size);
    ofAll.leave();
  });
});

test('writes to the same references wait in a time that grows linearly with their number', async () => {
  const references = Array.from({ length: NAMES }, (_, index) => `refs/heads/${index}`);
  await assertLinearTime((size) => {
    const queue = new ConflictQueue();
    // Every second one is to a reference of its own.
    for (let count = 0; count < size; count++)
      queue.enter(count % 2 === 0 ? references : [`refs/tags/${count}`], () => {});
  });
});

test('a write of a name with many directories takes a time that grows linearly with it', async () => {
  await assertLinearTime((size) => {
    const queue = new ConflictQueue();
    queue.enter([`refs/heads/${'a/'.repeat(size)}x`], () => {});
  });
});
