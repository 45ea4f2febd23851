import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { Progress } from './progress.ts';

const scratch = makeScratchDirectory('progress');
after(() => rmSync(scratch, { recursive: true }));

test('the list of repositories that failed is bounded: with more, all are compared', async () => {
  const path = join(scratch, 'progress.json');
  const progress = await Progress.open(path, { incarnation: 'bucket', last: 0 }, (error) =>
    assert.fail(String(error)),
  );
  progress.endComparison(0);
  for (let number = 0; number < 1000; number++) progress.addFailed(`${number}.git`);
  const counts = () => [progress.failed.size, progress.comparisons, progress.toCompare];

  progress.addFailed('7.git');
  assert.deepEqual(counts(), [1000, 0, 'none'], 'one that has failed before');
  progress.addFailed('1000.git');
  assert.deepEqual(counts(), [1000, 1, 'present']);
  progress.requestComparison('all');
  progress.addFailed('1001.git');
  assert.deepEqual(counts(), [1000, 3, 'all'], 'also while all are compared');
  progress.endComparison(2);
  assert.equal(progress.toCompare, 'all', 'it has failed since');

  await progress.save();
});

test('what was saved is read again, unless it is of another bucket or beyond the journal', async () => {
  const path = join(scratch, 'saved.json');
  const open = (incarnation: string, last: number) =>
    Progress.open(path, { incarnation, last }, (error) => assert.fail(String(error)));
  const stateOf = ({ cursor, failed, nextPart, toCompare }: Progress) => ({
    ...{ cursor, nextPart, toCompare },
    failed: [...failed],
  });
  const first = await open('bucket', 7);
  assert.deepEqual(stateOf(first), { cursor: 7, nextPart: 0, toCompare: 'present', failed: [] });
  first.endComparison(0);
  first.addFailed('a.git');
  first.nextPart = 3;
  first.moveTo(9);
  await first.save();

  const again = await open('bucket', 9);
  assert.deepEqual(stateOf(again), { cursor: 9, nextPart: 3, toCompare: 'none', failed: ['a.git'] });
  assert.equal(again.journalId, first.journalId);
  await using opened = new AsyncDisposableStack();
  for (const [incarnation, last] of [
    ['other', 9],
    ['bucket', 8],
  ] as const) {
    const fresh = await open(incarnation, last);
    opened.defer(() => fresh.close()); // and not later
    assert.deepEqual(stateOf(fresh), { cursor: last, nextPart: 0, toCompare: 'present', failed: [] });
    assert.notEqual(fresh.journalId, first.journalId);
  }
});

test('the cursor alone is written every ten seconds, all else after half a second', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const path = join(scratch, 'lazy.json');
  const progress = await Progress.open(path, { incarnation: 'bucket', last: 0 }, (error) =>
    assert.fail(String(error)),
  );
  await progress.save();
  const saved: number[] = [];
  const save = progress.save.bind(progress);
  progress.save = async () => {
    saved.push(progress.cursor);
    return await save();
  };
  const pass = (seconds: number): void => {
    for (let half = 0; half < 2 * seconds; half++) context.mock.timers.tick(500);
  };

  for (let cursor = 1; cursor <= 9; cursor++) {
    progress.moveTo(cursor);
    pass(1);
  }
  assert.deepEqual(saved, []);
  pass(1);
  assert.deepEqual(saved, [9]);

  progress.moveTo(10);
  progress.addFailed('a.git');
  pass(0.5);
  assert.deepEqual(saved, [9, 10]);
  pass(20);
  assert.deepEqual(saved, [9, 10]);
  await save();
});

// Symptom: after a full disk, the file had the state before it until the next change.
test('a write that failed is repeated after a pause, until the progress is closed', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const path = join(scratch, 'repeated.json');
  const problems: unknown[] = [];
  const open = () => Progress.open(path, { incarnation: 'bucket', last: 0 }, (error) => problems.push(error));
  const progress = await open();
  mkdirSync(path);
  progress.addFailed('a.git');
  assert.equal(await progress.save(), false);
  assert.equal(problems.length, 1);

  assert.equal(await progress.save(), false);
  assert.equal(problems.length, 1, 'one problem, reported once');
  rmdirSync(path);
  context.mock.timers.tick(5000);
  await until(() => existsSync(path), 'the third attempt');
  assert.deepEqual([...(await open()).failed], ['a.git']);

  rmSync(path);
  mkdirSync(path);
  await progress.close();
  assert.equal(problems.length, 2);
  rmdirSync(path);
  progress.changed();
  context.mock.timers.tick(5000);
  await progress.save();
  assert.ok(!existsSync(path));
});
