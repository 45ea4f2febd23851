import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BackupRun, keptRuns, lastRuns, mergeRuns } from './backup-runs.ts';

const run = (id: string, timeMs: number, more: Partial<BackupRun> = {}): BackupRun => ({
  id,
  program: '',
  timeMs,
  repositories: 1,
  failed: 0,
  isEnded: true,
  ...more,
});
const names = (runs: readonly BackupRun[]) => runs.map(({ id }) => id);

test('the last backup is kept, and the last one without a failure', () => {
  const failed = run('3', 3, { failed: 1 });
  assert.deepEqual(names(lastRuns([run('1', 1), run('2', 2)])), ['2']);
  assert.deepEqual(names(lastRuns([run('1', 1), run('2', 2), failed])), ['3', '2']);
  assert.deepEqual(names(lastRuns([run('1', 1), run('4', 4, { failed: 2 }), failed])), ['4', '1']);
});

test('a backup that goes on leaves the one before it, whose program wrote no id', () => {
  const before = run('1', 1, { isEnded: false });
  const now = run('2', 2, { isEnded: false });
  assert.deepEqual(names(lastRuns([before, now])), ['2', '1']);
  assert.deepEqual(names(lastRuns([before, { ...now, isEnded: true }])), ['2']);
  assert.deepEqual(names(lastRuns([{ ...before, repositories: 0 }, now])), ['2'], 'it has stored nothing');
});

test('the end of a backup that another node has stored does not replace what is kept', () => {
  const marks = Array.from({ length: 9 }, (_, time) => run(`mark ${time}`, 10 + time, { repositories: 0 }));
  const failures = Array.from({ length: 9 }, (_, time) => run(`failed ${time}`, 5, { failed: 1 }));
  const good = run('good', 1);

  let kept: BackupRun[] = [];
  for (const each of [good, ...failures, ...marks]) kept = keptRuns([...kept, each]);

  assert.equal(kept.length, 5);
  assert.deepEqual(names(lastRuns(kept)), ['good']);
  const stored = run('mark 8', 2, { repositories: 3, isEnded: false });
  assert.deepEqual(lastRuns(mergeRuns([...kept, stored])), [run('mark 8', 18, { repositories: 3 })]);
});

test('programs do not hide each other, and are bounded', () => {
  const all = Array.from({ length: 20 }, (_, time) => run('same', time, { program: `program ${time}` }));
  const kept = lastRuns(all);
  assert.deepEqual(
    kept.map(({ program }) => program),
    [19, 18, 17, 16, 15, 14, 13, 12].map((time) => `program ${time}`),
  );
});

test('processes and nodes add up what they stored, but not the same report', () => {
  const failure = { repository: 'a.git', problem: 'no space', timeMs: 5 };
  const earlier = { ...failure, timeMs: 1 };
  const parts = [
    run('1', 5, { failed: 1, failure }),
    run('1', 7, { repositories: 2, failed: 1, failure: earlier, isEnded: false }),
  ];
  const both = run('1', 7, { repositories: 3, failed: 2, failure });
  assert.deepEqual(mergeRuns(parts), [both]);
  assert.deepEqual(mergeRuns(parts.toReversed()), [both]);
  const reported = run('1', 7, { program: 'gitaly-backup', repositories: 9 });
  assert.deepEqual(mergeRuns([reported, { ...reported, timeMs: 8 }]), [{ ...reported, timeMs: 8 }]);
});
