import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { DirectoriesAbove } from './directories-above.ts';

const directory = makeScratchDirectory('directories-above');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`the directories above a path are those of ls-tree (${objectFormat})`, async () => {
    const path = join(directory, `${objectFormat}.git`);
    initRepository(path, { objectFormat });
    const run = (args: string[], input = ''): string => gitOutput(path, args, input);
    const oid = run(['hash-object', '-w', '--stdin'], 'x');
    const inner = run(['mktree'], `100644 blob ${oid}\tfile\n`);
    const middle = run(['mktree'], `040000 tree ${inner}\tb\n100644 blob ${oid}\tfile\n`);
    const tree = run(
      ['mktree'],
      `040000 tree ${middle}\ta\n040000 tree ${inner}\tsame\n` +
        `160000 commit ${'1'.repeat(oid.length)}\tsub\n120000 blob ${oid}\tlink\n`,
    );
    const directories = new DirectoriesAbove(git.open(path).objects, Buffer.from(tree));
    const above = async (name: string) => await Array.fromAsync(directories.of(Buffer.from(name)));
    const paths = async (name: string) => (await above(name)).map((each) => each.path.toString());

    assert.deepEqual(await paths('a/b/file'), ['', 'a', 'a/b']);
    assert.deepEqual(await paths('a/b'), ['', 'a']);
    assert.deepEqual(await paths('a/bx'), ['', 'a'], 'b is another name');
    assert.deepEqual(await paths('a/none/b/file'), ['', 'a']);
    assert.deepEqual(await paths('a/file/x'), ['', 'a'], 'a file has nothing below it');
    for (const top of ['', 'x', 'none/x', 'sub/x', 'link/x']) assert.deepEqual(await paths(top), [''], top);
    const [one, other] = await Promise.all([above('a/b/x'), above('a/b/y')]);
    assert.ok(one.length === 3 && one.every((each, index) => each === other[index]), 'read once');
    assert.equal((await one[2]?.find(Buffer.from('file')))?.oid, oid);
    assert.equal(await one[2]?.find(Buffer.from('none')), undefined);
  });

test('a revision without a tree has no directories', async () => {
  const path = join(directory, 'none.git');
  initRepository(path, { commits: 1 });
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  for (const revision of [blob, '1'.repeat(40)]) {
    const directories = new DirectoriesAbove(git.open(path).objects, Buffer.from(revision));
    assert.deepEqual(await Array.fromAsync(directories.of(Buffer.from('a/b'))), [], revision);
  }
});
