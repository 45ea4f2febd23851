import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { lockRepository } from '../locks/repository-lock.ts';
import type { RepositoryLocation } from '../repository-target.ts';
import { removeAll } from './remove-all.ts';
import { renameRepository } from './rename-repository.ts';

function locate(fixture: StorageFixture, relativePath: string): RepositoryLocation {
  return fixture.storages.locate({ storageName: 'default', relativePath });
}

function counts({ storages }: StorageFixture): string[] {
  return [...storages.repositoryCounts.entries()].map(({ prefix, count }) => `${prefix} ${count}`);
}

test('a repository is complete at its new path, and counted there', async (context) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('old/x.git', { commits: 1 });
  await fixture.storages.repositoryCounts.count(fixture.storage);
  const tip = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const forget = context.mock.method(fixture.caches, 'forget');
  const target = locate(fixture, 'new/er/y.git');

  await renameRepository(fixture.storages, repository, target);

  assert.equal(fixture.runGit(target.path, ['rev-parse', 'main']), tip);
  assert.deepEqual(readdirSync(`${fixture.storage.path}/old`), []);
  assert.deepEqual(readdirSync(`${fixture.storage.path}/new/er`), ['y.git']);
  assert.deepEqual(counts(fixture), ['old 0', 'new 1']);
  assert.deepEqual(
    forget.mock.calls.map(({ arguments: [forgotten] }) => forgotten?.path),
    [repository.path],
  );
});

test('whatever is at the target stays there', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const target = locate(fixture, 'y.git');
  writeFileSync(target.path, 'file');

  await assert.rejects(renameRepository(fixture.storages, repository, target), {
    code: 'ALREADY_EXISTS',
    message: 'target repo exists already',
  });
  await assert.rejects(renameRepository(fixture.storages, repository, locate(fixture, 'y.git/z.git')), {
    message: /^checking target: /,
  });

  assert.ok(existsSync(`${repository.path}/HEAD`));
});

test('what appears at the target after the first look is seen', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const target = locate(fixture, 'new/y.git');
  const { storage } = repository;
  // It is requested between the two checks.
  Object.defineProperty(repository, 'storage', {
    get: () => {
      mkdirSync(target.path, { recursive: true });
      return storage;
    },
  });

  await assert.rejects(renameRepository(fixture.storages, repository, target), { code: 'ALREADY_EXISTS' });

  assert.ok(existsSync(`${repository.path}/HEAD`));
});

for (const locked of ['x.git', 'y.git']) {
  test(`a lock on ${locked} of another call is respected, and none is left`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    const target = locate(fixture, 'y.git');
    {
      await using _lock = await lockRepository(fixture.storage, `${fixture.storage.path}/${locked}`);

      await assert.rejects(renameRepository(fixture.storages, repository, target), {
        code: 'FAILED_PRECONDITION',
        message: 'repository is already locked',
      });
    }

    assert.deepEqual(readdirSync(fixture.storage.path), ['x.git']);
  });
}

test('a repository that another call has moved away is an error, and no lock stays', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await renameRepository(fixture.storages, repository, locate(fixture, 'z.git'));

  await assert.rejects(renameRepository(fixture.storages, repository, locate(fixture, 'y.git')), {
    message: /^rename repository: /,
  });

  assert.deepEqual(readdirSync(fixture.storage.path), ['z.git']);
});

test('everything in a storage is removed, and nothing of another one', async (context) => {
  await using fixture = await StorageFixture.create();
  fixture.init('a/x.git');
  const { storages, storage } = fixture;
  const other = storages.storage('second');
  mkdirSync(`${other.path}/stays`);
  mkdirSync(`${storage.path}/+gitaly/tmp`, { recursive: true });
  await storages.repositoryCounts.count(storage);
  const forget = context.mock.method(fixture.caches, 'forget');

  await removeAll(storages, storage);

  assert.deepEqual([readdirSync(storage.path), readdirSync(other.path)], [[], ['stays']]);
  assert.deepEqual(counts(fixture), ['a 0']);
  assert.deepEqual(
    forget.mock.calls.map(({ arguments: [forgotten] }) => forgotten?.path),
    [`${storage.path}/a/x.git`],
  );
  await removeAll(storages, { ...storage, path: `${storage.path}/absent` });
});

test('a storage that is no directory is an error, and not an empty one', async () => {
  await using fixture = await StorageFixture.create();
  const path = `${fixture.root}/file`;
  writeFileSync(path, '');

  await assert.rejects(removeAll(fixture.storages, { name: 'file', path }), { code: 'ENOTDIR' });
});

for (const [what, to] of [
  ['deeper', 'group/sub/x.git'],
  ['as deep', 'other/x.git'],
] as const)
  test(`a repository that moves ${what} finds the objects of its pool`, async () => {
    await using fixture = await StorageFixture.create();
    const pool = fixture.init('@pools/p.git', { commits: 1 });
    const member = fixture.init('old/x.git');
    const file = 'objects/info/alternates';
    writeFileSync(`${member.path}/${file}`, '../../../@pools/p.git/objects\n');
    const tip = fixture.runGit(pool.path, ['rev-parse', 'main']);
    fixture.runGit(member.path, ['update-ref', 'refs/heads/main', tip]);
    const target = locate(fixture, to);

    await renameRepository(fixture.storages, member, target);

    const line = `${'../'.repeat(to.split('/').length + 1)}@pools/p.git/objects\n`;
    assert.equal(readFileSync(`${target.path}/${file}`, 'utf8'), line);
    assert.equal(fixture.runGit(target.path, ['cat-file', '-t', 'main']), 'commit');
  });
