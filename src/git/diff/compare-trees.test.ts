import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { compareTrees } from './compare-trees.ts';

const { signal } = new AbortController();

// Without `.gitattributes`, a git that does not know `attr.tree` prints the same.
test('trees are compared by a waiting process, unless one is missing', async (context) => {
  const root = makeScratchDirectory('compare-trees');
  context.after(() => rmSync(root, { recursive: true }));
  const path = join(root, 'x.git');
  initRepository(path);
  const [before = '', after = ''] = ['one', 'two'].map((content) =>
    gitOutput(path, ['rev-parse', `${commitFiles(path, { content })}^{tree}`]),
  );
  await using git = await GitFixture.start();
  const compare = async (left: string, right: string) => {
    const pieces: Buffer[] = [];
    const trees = { before: left, after: right, attributes: after };
    const output = compareTrees(git.open(path), trees, signal);
    for (;;) {
      const { done, value } = await output.next();
      if (done === true) return { isCompared: value, text: Buffer.concat(pieces).toString() };
      pieces.push(value);
    }
  };

  const { isCompared, text } = await compare(before, after);

  assert.equal(isCompared, true);
  assert.match(text, /\n-one\n.*\n\+two\n.*$/s);
  assert.deepEqual(await compare(before, before), { isCompared: true, text: '' });
  assert.deepEqual(await compare(before, '1'.repeat(40)), { isCompared: false, text: '' });
});
