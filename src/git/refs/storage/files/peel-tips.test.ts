import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { TipPeeler } from './peel-tips.ts';

const path = makeScratchDirectory('peel');
initRepository(path, { commits: 1 });
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(path, { recursive: true });
});
const run = (...args: string[]): string => gitOutput(path, args);
const repository = git.open(path);
const { objects } = repository;

const commit = run('rev-parse', 'main');
const tree = run('rev-parse', 'main^{tree}');
const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
run('tag', '-a', '-m', 'x', 'v1', 'main');
run('tag', '-a', '-m', 'x', 'v2', 'v1');
run('tag', '-a', '-m', 'x', 'v3', tree);
const tags = ['v1', 'v2', 'v3'].map((name) => run('rev-parse', `refs/tags/${name}`));
const targets = ['v1', 'v2', 'v3'].map((name) => run('rev-parse', `${name}^{}`));

for (const state of ['loose', 'packed']) {
  test(`tags lead to their targets, and other objects to none: ${state}`, async (context) => {
    if (state === 'packed') {
      run('repack', '-adq');
      // Nothing refers to the blob.
      gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
      assert.equal(existsSync(`${path}/objects/${commit.slice(0, 2)}/${commit.slice(2)}`), false);
    }
    const peeler = new TipPeeler();
    const info = context.mock.method(objects, 'info');
    const peel = (oid: string) => peeler.peel(objects, oid);

    for (const _ of ['new', 'known']) {
      assert.deepEqual(await Promise.all(tags.map(peel)), targets);
      assert.deepEqual(await Promise.all([commit, tree, blob].map(peel)), [undefined, undefined, undefined]);
    }

    // Two reads for each tag each time, and one for each other object.
    assert.equal(info.mock.callCount(), 12 + 3);
  });
}

test('a missing object has no target, and is looked for again', async (context) => {
  const peeler = new TipPeeler();
  const info = context.mock.method(objects, 'info');

  for (const _ of [1, 2]) assert.equal(await peeler.peel(objects, '1'.repeat(40)), undefined);

  assert.equal(info.mock.callCount(), 2);
});

test('a tag that leads nowhere is left to git', async () => {
  const data = `object ${'1'.repeat(40)}\ntype commit\ntag x\ntagger A <a@x> 1 +0000\n\nx\n`;
  const tag = gitOutput(path, ['hash-object', '-t', 'tag', '-w', '--literally', '--stdin'], data);

  await assert.rejects(new TipPeeler().peel(objects, tag), FallBackToGit);
});
