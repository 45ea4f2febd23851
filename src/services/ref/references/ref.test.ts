import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`RefExists follows what happens to references of a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { commits: 1, objectFormat });
    const exists = async (ref: string) =>
      (await gitaly.connection.ref.refExists({ repository, ref: Buffer.from(ref) })).value;

    assert.deepEqual([await exists('refs/heads/main'), await exists('refs/heads/new')], [true, false]);
    gitOutput(directory, ['branch', 'new', 'main']);
    assert.equal(await exists('refs/heads/new'), true);
    gitOutput(directory, ['pack-refs', '--all']);
    assert.deepEqual([await exists('refs/heads/main'), await exists('refs/heads/new')], [true, true]);
    gitOutput(directory, ['update-ref', '-d', 'refs/heads/new']);
    assert.equal(await exists('refs/heads/new'), false);
  });
}

test('FindDefaultBranchName goes from HEAD to a branch that exists', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  const find = async (headOnly = false) =>
    Buffer.from(
      (await gitaly.connection.ref.findDefaultBranchName({ repository, headOnly })).name,
    ).toString();

  assert.deepEqual([await find(), await find(true)], ['', 'refs/heads/main']);
  const commit = gitOutput(directory, ['commit-tree', '-m', 'x', gitOutput(directory, ['mktree'], '')]);
  gitOutput(directory, ['update-ref', 'refs/heads/b', commit]);
  gitOutput(directory, ['update-ref', 'refs/heads/a', commit]);
  assert.equal(await find(), 'refs/heads/a');
  gitOutput(directory, ['symbolic-ref', 'HEAD', 'refs/heads/b']);
  assert.deepEqual([await find(), await find(true)], ['refs/heads/b', 'refs/heads/b']);
});

test('RefExists refuses a name with a NUL', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git');

  await assert.rejects(gitaly.connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/a\0') }), {
    code: 'INTERNAL',
    message: 'detected null byte in command argument "refs/heads/a\\x00"',
  });
});

test('PackRefs packs every loose reference, and none gets lost', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  for (const name of ['a', 'b/c', 'd']) gitOutput(directory, ['branch', name, 'main']);
  gitOutput(directory, ['tag', '-m', 'annotated', 'v1', 'main']);
  const before = gitOutput(directory, ['show-ref', '--dereference']);
  const { ref } = gitaly.connection;

  await ref.packRefs({ repository });

  assert.equal(gitOutput(directory, ['show-ref', '--dereference']), before);
  const packed = readFileSync(join(directory, 'packed-refs'), 'utf8').split('\n');
  assert.deepEqual(
    packed.filter((line) => line.includes(' refs/')).sort(),
    gitOutput(directory, ['show-ref']).split('\n').sort(),
  );
  assert.equal(existsSync(join(directory, 'refs/heads/a')), false);
  assert.equal((await ref.refExists({ repository, ref: Buffer.from('refs/heads/b/c') })).value, true);
  const missing = { ...repository, relativePath: 'none.git' };
  await assert.rejects(ref.packRefs({ repository: missing }), {
    code: 'NOT_FOUND',
    message: 'repository not found',
  });
});

test('UpdateReferences without a request says that it has received none', async () => {
  await using gitaly = await startGitaly();

  await assert.rejects(gitaly.connection.ref.updateReferences([]), {
    code: 'INTERNAL',
    message: 'receiving initial request: EOF',
  });
});
