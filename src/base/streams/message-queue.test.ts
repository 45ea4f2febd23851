import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageQueue } from './message-queue.ts';

test('messages are iterated in their order, from before the iteration and from after its start', async () => {
  const queue = new MessageQueue<number>();
  queue.push(1);
  queue.push(2);
  const read: number[] = [];
  const reading = (async () => {
    for await (const message of queue) {
      read.push(message);
      if (message === 2) setImmediate(() => queue.push(3));
      if (message === 3) setImmediate(() => queue.end());
    }
  })();

  await reading;

  assert.deepEqual(read, [1, 2, 3]);
});

test('messages before the end are still iterated, those after it are dropped', async () => {
  const queue = new MessageQueue<number>();
  queue.push(1);
  queue.end();
  queue.push(2);

  assert.deepEqual(await Array.fromAsync(queue), [1]);
});

test('a reader that leaves gets no further messages, and one that waits ends', async () => {
  const queue = new MessageQueue<number>();
  const waiting = queue.next();

  await queue.return();

  assert.deepEqual(await waiting, { done: true, value: undefined });
  queue.push(1);
  assert.deepEqual(await queue.next(), { done: true, value: undefined });
});
