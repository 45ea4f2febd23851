import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { ReferencesFixture, type ReferencesRepository } from '#testkit/repositories/references-fixture';

const fixture = await ReferencesFixture.start();
after(() => fixture.close());

/** Returns the checksum by its definition: of what git prints, @see Gitaly: git/checksum.go */
function expected({ run }: ReferencesRepository): string {
  const sum = Buffer.alloc(20);
  for (const line of run('show-ref', '--head').split('\n')) {
    if (!/HEAD|(refs\/(heads|tags|keep-around|merge-requests|environments|notes)\/)/.test(line)) continue;
    for (const [index, byte] of createHash('sha1').update(line).digest().entries())
      sum[index] = (sum[index] ?? 0) ^ byte;
  }
  return sum.toString('hex');
}

async function checksum({ repository }: ReferencesRepository): Promise<string> {
  return (await repository.refs.checksum()).toString('hex');
}

for (const format of ['sha1', 'sha256'] as const) {
  test(`the checksum of a ${format} repository is that of git's list`, async () => {
    const made = fixture.createRepository(format);
    const { run, path, commits } = made;
    const [one = '', two = ''] = commits;
    const check = async (what: string): Promise<void> =>
      assert.equal(await checksum(made), expected(made), what);
    for (const name of [
      'heads/main',
      'heads/over',
      'heads/hidden',
      'tags/t',
      'keep-around/k',
      'remotes/r',
      'x/HEAD',
    ])
      run('update-ref', `refs/${name}`, one);
    run('tag', '-a', '-m', 'x', 'annotated', one);

    await check('loose');
    run('pack-refs', '--all');
    await check('packed');
    run('update-ref', 'refs/heads/over', two);
    run('update-ref', 'refs/remotes/r', two);
    run('symbolic-ref', 'refs/heads/link', 'refs/heads/over');
    await check('both');
    writeFileSync(join(path, 'refs/heads/hidden'), 'ref: refs/heads/nowhere\n');
    writeFileSync(join(path, 'refs/heads/held.lock'), '');
    await check('hidden and locked');
    run('update-ref', '-d', 'refs/tags/t');
    await check('packed anew');
    writeFileSync(join(path, 'HEAD'), `${two}\n`);
    await check('detached');
    writeFileSync(join(path, 'HEAD'), 'ref: refs/heads/none\n');
    await check('unborn');
  });
}

if (referenceBackends().includes('reftable')) {
  for (const format of ['sha1', 'sha256'] as const) {
    test(`the checksum of reftables of a ${format} repository is that of git's list`, async () => {
      const made = fixture.createRepository(format, 'reftable');
      const { run, commits } = made;
      const [one = '', two = ''] = commits;
      const names = ['heads/main', 'heads/over', 'tags/t', 'keep-around/k', 'remotes/r', 'x/HEAD'];
      for (const name of names) run('update-ref', `refs/${name}`, one);
      run('tag', '-a', '-m', 'x', 'annotated', one);
      run('symbolic-ref', 'refs/heads/link', 'refs/heads/over');
      run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere');
      for (const change of [
        ['rev-parse'],
        ['update-ref', 'refs/heads/over', two],
        ['update-ref', '-d', 'refs/tags/t'],
        ['pack-refs', '--all'],
        ['symbolic-ref', 'HEAD', 'refs/heads/none'],
        ['update-ref', '--no-deref', 'HEAD', two],
      ]) {
        run(...change);
        for (const _ of ['read', 'cached'])
          assert.equal(await checksum(made), expected(made), change.join(' '));
      }
    });
  }
}

test('git is asked about missing objects, bad names, many files and an unsorted one', async () => {
  const made = fixture.createRepository();
  const { path, commits, run } = made;
  const isLeftToGit = async (): Promise<void> =>
    await assert.rejects(made.repository.refs.checksum(), FallBackToGit);
  run('update-ref', 'refs/heads/main', commits[0] ?? '');

  for (const name of ['heads/missing', 'other/missing']) {
    mkdirSync(join(path, 'refs/other'), { recursive: true });
    writeFileSync(join(path, 'refs', name), `${'1'.repeat(40)}\n`);
    await isLeftToGit();
    rmSync(join(path, 'refs', name));
  }
  // git 2.39 fails at such a name.
  writeFileSync(join(path, 'refs/heads/bad..name'), `${commits[0]}\n`);
  await isLeftToGit();
  rmSync(join(path, 'refs/heads/bad..name'));
  const [one, two] = ['a', 'b'].map((name) => `${commits[0]} refs/heads/${name}\n`);
  writeFileSync(join(path, 'packed-refs'), `# pack-refs with: peeled fully-peeled \n${two}${one}`);
  await isLeftToGit();
  rmSync(join(path, 'packed-refs'));
  mkdirSync(join(path, 'refs/many'));
  for (let index = 0; index < 5_000; index++)
    writeFileSync(join(path, `refs/many/${index}`), `${commits[0]}\n`);
  await isLeftToGit();
  rmSync(join(path, 'refs/many'), { recursive: true });
  assert.equal(await checksum(made), expected(made));
});
