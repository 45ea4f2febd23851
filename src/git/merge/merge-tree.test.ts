import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { mergeTreeOfCommits } from './merge-tree.ts';
import { TreeMerges } from './tree-merges.ts';

// Symptom: with git 2.39, a merge had the files of another commit than the one it names.
test('replaced commits and trees are merged as they are', async (context) => {
  const path = makeScratchDirectory('merge-tree');
  context.after(() => rmSync(path, { recursive: true }));
  initRepository(path, {});
  const run = (...args: string[]): string => gitOutput(path, args);
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'text');
  const treeOf = (...names: string[]): string =>
    gitOutput(path, ['mktree'], names.map((name) => `100644 blob ${blob}\t${name}\n`).join(''));
  const trees = [treeOf('a'), treeOf('a', 'left'), treeOf('a', 'right'), treeOf('other')] as const;
  const [base, left, right, other] = trees;
  const root = run('commit-tree', '-m', 'root', base);
  const ours = run('commit-tree', '-m', 'left', '-p', root, left);
  const theirs = run('commit-tree', '-m', 'right', '-p', root, right);
  run('update-ref', `refs/replace/${ours}`, run('commit-tree', '-m', 'other', '-p', root, other));
  run('update-ref', `refs/replace/${left}`, other);
  await using git = await GitFixture.start();
  const repository = git.open(path);
  const expected = treeOf('a', 'left', 'right');

  const merged = await mergeTreeOfCommits(repository, { ours, theirs });
  await using merges = await TreeMerges.start(repository);
  const labels = { ours: 'ours', theirs: 'theirs' };
  const second = await merges.merge({ base, ours: left, theirs: right, labels });

  assert.equal(merged.treeOid, expected);
  assert.equal(second.treeOid, expected);
});

test('a merge is clean if git finds no conflict', async () => {
  const path = makeScratchDirectory('merge-tree');
  await using git = await GitFixture.start();
  using _ = { [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
  initRepository(path, {});
  const commit = (text: string, ...parents: string[]): string => {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], text);
    const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\ta\n`);
    return gitOutput(path, ['commit-tree', '-m', text, ...parents.flatMap((oid) => ['-p', oid]), tree]);
  };
  const root = commit('old');
  const [ours, theirs] = [commit('left', root), commit('right', root)];
  const repository = git.open(path);

  assert.equal((await mergeTreeOfCommits(repository, { ours, theirs: root })).isClean, true);
  assert.equal((await mergeTreeOfCommits(repository, { ours, theirs })).isClean, false);
});
