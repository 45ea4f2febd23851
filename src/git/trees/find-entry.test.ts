import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { EntryFinder } from './find-entry.ts';

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
