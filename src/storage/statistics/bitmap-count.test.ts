import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type BitmapCount, BitmapCounts } from './bitmap-count.ts';

test('packs and bitmaps are those of the repository and of its alternates', async (context) => {
  const directory = makeScratchDirectory('bitmaps');
  context.after(() => rmSync(directory, { recursive: true }));
  const counts = new BitmapCounts(() => Date.now() + 60_000);
  const counted = async (path: string): Promise<BitmapCount> => {
    const count = await new BitmapCounts().count(path);
    for (let time = 0; time < 2; time++) assert.deepEqual(await counts.count(path), count);
    return count;
  };
  const [pool, member] = [`${directory}/pool.git`, `${directory}/member.git`];
  initRepository(pool);
  addCommit(pool);
  assert.deepEqual(await counted(pool), { packs: 0, bitmaps: 0 });

  gitOutput(pool, ['repack', '-adb']);
  assert.deepEqual(await counted(pool), { packs: 1, bitmaps: 1 });

  gitOutput(directory, ['clone', '-q', '--bare', '--shared', pool, member]);
  addCommit(member, 2);
  gitOutput(member, ['repack', '-adlq']);
  assert.deepEqual(await counted(member), { packs: 2, bitmaps: 1 });

  gitOutput(member, ['repack', '-adbq']);
  assert.deepEqual(await counted(member), { packs: 2, bitmaps: 2 });
});

test('a repository that is missing has neither', async () => {
  assert.deepEqual(await new BitmapCounts().count('/nowhere'), { packs: 0, bitmaps: 0 });
});
