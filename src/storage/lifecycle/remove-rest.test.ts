import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { createRepository } from './create-repository.ts';
import { removeRepository } from './remove-repository.ts';
import { isRest } from './remove-rest.ts';

const TARGET = { storageName: 'default', relativePath: 'x.git' };

/** Starts an update of references that continues when it is given a line. */
async function startUpdate(repositoryPath: string) {
  const git = spawn('git', [`--git-dir=${repositoryPath}`, 'update-ref', '--stdin'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(git, 'exit');
  git.stdin.write('start\n');
  await once(git.stdout, 'data');
  return { git, ended };
}

// git creates the directories of a reference that it locks. They stayed, and a repository could not
// be created at the path: "repository exists already".
test('a repository can be created where git left directories of a removed one', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const { git, ended } = await startUpdate(repository.path);

  await removeRepository(storages, repository);
  git.stdin.end(`create refs/heads/a/b ${oid}\nprepare\n`);
  await ended;

  assert.ok(existsSync(join(repository.path, 'refs/heads/a')), 'git has left nothing');
  const created = await createRepository(storages, TARGET);
  assert.equal(fixture.runGit(created.path, ['fsck']), '');
  assert.deepEqual(readdirSync(`${fixture.storage.path}/+gitaly/tmp`), []);
});

test('a removal removes what git leaves meanwhile', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const { git, ended } = await startUpdate(repository.path);
  const vote = async (phase: string): Promise<void> => {
    if (phase !== 'committed') return;
    git.stdin.end(`create refs/heads/a/b ${oid}\nprepare\n`);
    await ended;
    await until(() => existsSync(repository.path));
  };

  await removeRepository(fixture.storages, repository, { vote });

  assert.deepEqual(readdirSync(fixture.storage.path), ['+gitaly']);
});

for (const [kind, files] of Object.entries({
  'an empty directory': [],
  'a directory with a repository': ['refs/heads/main', 'HEAD', 'y.git/HEAD'],
  'a directory with objects': ['refs/heads/main.lock', 'objects/pack/pack-1.pack'],
  'a directory with a reference': ['refs/heads/main'],
}))
  test(`${kind} is no rest, and stays`, async () => {
    await using fixture = await StorageFixture.create();
    const directory = join(fixture.storage.path, 'x.git');
    mkdirSync(directory);
    for (const file of files) {
      mkdirSync(join(directory, file, '..'), { recursive: true });
      writeFileSync(join(directory, file), '');
    }

    assert.equal(await isRest(directory), false);
    await assert.rejects(createRepository(fixture.storages, TARGET), { code: 'ALREADY_EXISTS' });
    for (const file of files) assert.ok(existsSync(join(directory, file)));
  });

test('locks and temporary files are a rest', async () => {
  await using fixture = await StorageFixture.create();
  const directory = join(fixture.storage.path, 'x.git');
  for (const file of ['packed-refs.lock', 'refs/heads/a/b.lock', 'objects/ab/tmp_obj_1']) {
    mkdirSync(join(directory, file, '..'), { recursive: true });
    writeFileSync(join(directory, file), '');
  }

  assert.equal(await isRest(directory), true);
  await createRepository(fixture.storages, TARGET);
});
