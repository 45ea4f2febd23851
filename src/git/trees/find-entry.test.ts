import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { DirectoriesAbove, EntryFinder } from './find-entry.ts';

const directory = makeScratchDirectory('find-entry');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`every entry of a ${objectFormat} tree is found as in ls-tree, also all at once`, async () => {
    const path = join(directory, `${objectFormat}.git`);
    initRepository(path, { objectFormat });
    const run = (args: string[], input = ''): string => gitOutput(path, args, input);
    const oid = run(['hash-object', '-w', '--stdin'], 'x');
    const inner = run(
      ['mktree', '-z'],
      `100644 blob ${oid}\ta\0` + `100755 blob ${oid}\tb c\0` + `120000 blob ${oid}\tline\nfeed\0`,
    );
    const tree = run(
      ['mktree', '-z'],
      `040000 tree ${inner}\tdir\0` +
        `160000 commit ${'1'.repeat(oid.length)}\tsub\0` +
        `100644 blob ${oid}\t*\0`,
    );
    const finder = new EntryFinder(git.open(path).objects);

    const listed = run(['ls-tree', '-r', '-t', '-z', tree]).split('\0').slice(0, -1);
    const expected = [...listed, ...listed, ...listed].map(
      (line) => line.split(/[ \t]/, 3) as [string, string, string],
    );
    const paths = [...listed, ...listed, ...listed].map((line) => line.slice(line.indexOf('\t') + 1));
    const found = await Promise.all(paths.map((name) => finder.find(Buffer.from(tree), Buffer.from(name))));

    assert.deepEqual(
      found.map((entry) => [entry?.mode.toString(8).padStart(6, '0'), entry?.oid]),
      expected.map(([mode, , id]) => [mode, id]),
    );
    for (const nowhere of [
      '',
      '.',
      '/',
      'dir/',
      '/dir',
      './dir',
      'dir//a',
      'dir/../dir',
      'DIR',
      'dir/a/x',
      'sub/x',
      'nope/a',
      'di',
    ]) {
      assert.equal(await finder.find(Buffer.from(tree), Buffer.from(nowhere)), undefined, nowhere);
    }
    assert.equal(await finder.find(Buffer.from('nope'), Buffer.from('dir')), undefined);
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`the directories above a path are those of ls-tree (${objectFormat})`, async () => {
    const path = join(directory, `above-${objectFormat}.git`);
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
