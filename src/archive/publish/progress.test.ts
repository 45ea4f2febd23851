import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
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
