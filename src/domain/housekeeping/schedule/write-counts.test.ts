import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tasksForEntries, WriteCounts } from './write-counts.ts';

/** Counts writes and starts what is due. @returns the tasks by the number of the write. */
function run(counts: WriteCounts, writes: number, key = 'x'): Record<number, string[]> {
  const started: Record<number, string[]> = {};
  for (let write = 1; write <= writes; write++) {
    const due = counts.countWrite(key);
    if (due.size === 0) continue;
    started[write] = [...due];
    counts.started(key, due);
  }
  return started;
}

test('references are packed after more than ten writes, objects after more than twenty', () => {
  assert.deepEqual(run(new WriteCounts(), 44), {
    11: ['packReferences'],
    21: ['repack', 'prune', 'commitGraph'],
    22: ['packReferences'],
    33: ['packReferences'],
    42: ['repack', 'prune', 'commitGraph'],
    44: ['packReferences'],
  });
});

test('a task that could not be started is due at the next write', () => {
  const counts = new WriteCounts();
  for (let write = 1; write <= 11; write++) counts.countWrite('x');

  assert.deepEqual([...counts.countWrite('x')], ['packReferences']);
});

test('repositories are counted by themselves', () => {
  const counts = new WriteCounts();
  run(counts, 10, 'a');

  assert.deepEqual(run(counts, 10, 'b'), {});
});

test('a repository with many files is due at its first read', () => {
  assert.deepEqual([...tasksForEntries(500)], []);
  assert.deepEqual([...tasksForEntries(501)], ['packReferences']);
  assert.deepEqual([...tasksForEntries(1001)], ['packReferences', 'repack', 'prune', 'commitGraph']);
});
