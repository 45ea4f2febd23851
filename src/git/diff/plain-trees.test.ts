import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { plainTrees } from './plain-trees.ts';

const { signal } = new AbortController();
const MISSING = '1'.repeat(40);

test('the trees of two commits and of HEAD are known only together', async (context) => {
  const root = makeScratchDirectory('plain-trees');
  context.after(() => rmSync(root, { recursive: true }));
  const path = join(root, 'x.git');
  initRepository(path);
  const commits = ['a', 'b', 'c'].map((content) => commitFiles(path, { content }));
  const [left = '', right = '', head = ''] = commits;
  const treeOf = (commit: string): string => gitOutput(path, ['rev-parse', `${commit}^{tree}`]);
  await using git = await GitFixture.start();
  const repository = git.open(path);

  assert.deepEqual(await plainTrees(repository, { left, right }, signal), {
    before: treeOf(left),
    after: treeOf(right),
    attributes: treeOf(head),
  });
  assert.equal(await plainTrees(repository, { left: MISSING, right }, signal), undefined);
  assert.equal(await plainTrees(repository, { left, right: MISSING }, signal), undefined);
  gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/none']);
  assert.equal(await plainTrees(repository, { left, right }, signal), undefined);
});
