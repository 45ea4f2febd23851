import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplicationJob } from './job.ts';
import { MemoryQueue } from './memory-queue.ts';

const job = (relativePath: string, target = 'b'): ReplicationJob => ({
  change: 'update',
  virtualStorage: 'default',
  relativePath,
  source: 'a',
  target,
  correlationId: '',
});
const pathsOf = (jobs: readonly ReplicationJob[]): string[] => jobs.map(({ relativePath }) => relativePath);

test('jobs come oldest first, one at a time for each repository and target', () => {
  const queue = new MemoryQueue();
  for (const path of ['x', 'y', 'x', 'z']) queue.enqueue(job(path));
  queue.enqueue(job('x', 'c'));
  assert.equal(queue.size, 4);

  const first = queue.dequeue('default', 'b', 2);
  assert.deepEqual(pathsOf(first), ['x', 'y']);
  assert.deepEqual(pathsOf(queue.dequeue('default', 'b', 10)), ['z']);
  assert.deepEqual(pathsOf(queue.dequeue('default', 'c', 10)), ['x']);
  assert.deepEqual(queue.dequeue('other', 'b', 10), []);

  // One that runs may have begun before this change.
  queue.enqueue(job('x'));
  assert.deepEqual(queue.dequeue('default', 'b', 10), []);
  queue.acknowledge(first[0]?.id ?? 0, 'completed');
  assert.deepEqual(pathsOf(queue.dequeue('default', 'b', 10)), ['x']);
});

test('a job that fails is tried three times', () => {
  const queue = new MemoryQueue();
  queue.enqueue(job('x'));
  for (const left of [2, 1, 0]) {
    const [taken] = queue.dequeue('default', 'b', 1);
    assert.equal(taken?.attemptsLeft, left);
    queue.acknowledge(taken?.id ?? 0, 'failed');
  }
  assert.equal(queue.size, 0);
});
