import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { lockRepository } from '../locks/repository-lock.ts';
import { tempRoot } from '../storage-layout.ts';
import { removeRepository } from './remove-repository.ts';

test('a removed repository is gone with its lock and without leftovers', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a/x.git', { commits: 1 });

  await removeRepository(fixture.storages, repository);

  assert.deepEqual(readdirSync(`${fixture.storage.path}/a`), []);
  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
});

test('the processes of a removed repository end', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 1 });
  await using git = await GitFixture.start({ catFileIdleMs: Number.MAX_SAFE_INTEGER });
  const repository = git.open(path);
  await repository.objects.info('main');

  await removeRepository(fixture.storages, repository);

  await until(() => git.caches.catFiles.counts.running === 0);
});

test('a link to a repository is removed and the repository stays', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git', { commits: 1 });
  symlinkSync('x.git', `${fixture.storage.path}/link.git`);

  await removeRepository(
    fixture.storages,
    fixture.storages.open({ storageName: 'default', relativePath: 'link.git' }),
  );

  assert.equal(lstatSync(`${fixture.storage.path}/link.git`, { throwIfNoEntry: false }), undefined);
  assert.equal(fixture.runGit(`${fixture.storage.path}/x.git`, ['fsck']), '');
});

test('a locked repository stays', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using _lock = await lockRepository(fixture.storage, repository.path);

  await assert.rejects(
    removeRepository(fixture.storages, repository),
    new GitalyError('FAILED_PRECONDITION', 'repository is already locked'),
  );

  assert.ok(existsSync(`${repository.path}/HEAD`));
});

test('a repository that cannot be locked stays', async () => {
  await using fixture = await StorageFixture.create();
  // Long enough for the name of its lock to be too long.
  const repository = fixture.init(`${'x'.repeat(250)}.git`);

  await assert.rejects(removeRepository(fixture.storages, repository), {
    code: 'INTERNAL',
    message: /^locking repository/,
  });

  assert.ok(existsSync(`${repository.path}/HEAD`));
});

test('a repository that vanished since it was opened is not found', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  rmSync(repository.path, { recursive: true });

  await assert.rejects(removeRepository(fixture.storages, repository), {
    code: 'NOT_FOUND',
    message: 'repository was concurrently removed',
  });

  assert.equal(lstatSync(`${repository.path}.lock`, { throwIfNoEntry: false }), undefined);
});

test('of two that remove the same repository at once one wins', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');

  const results = await Promise.allSettled([
    removeRepository(fixture.storages, repository),
    removeRepository(fixture.storages, repository),
  ]);

  assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected']);
  assert.equal(existsSync(repository.path), false);
});

test('the nodes vote on the path around the removal', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a/x.git');
  const votes: string[] = [];

  await removeRepository(fixture.storages, repository, {
    vote: async (phase, hash) => {
      votes.push(`${phase} ${Buffer.from(hash).toString('hex')} ${existsSync(repository.path)}`);
    },
  });

  const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');
  assert.deepEqual(votes, [
    `preparing ${sha1('acquiring distributed lock a/x.git')} true`,
    `prepared ${sha1('pre-remove a/x.git')} true`,
    `committed ${sha1('post-remove a/x.git')} false`,
  ]);
});

test('a refused vote keeps the repository', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const vote = async (phase: string) => {
    if (phase === 'prepared') throw new GitalyError('ABORTED', 'transaction was aborted');
  };

  await assert.rejects(removeRepository(fixture.storages, repository, { vote }), { code: 'ABORTED' });

  assert.deepEqual(readdirSync(fixture.storage.path), ['x.git']);
});

test('a vote that is lost after the removal is an error, and nothing of the repository stays', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const vote = async (phase: string) => {
    if (phase === 'committed') throw new GitalyError('ABORTED', 'transaction was aborted');
  };

  await assert.rejects(removeRepository(fixture.storages, repository, { vote }), { code: 'ABORTED' });

  assert.deepEqual(readdirSync(fixture.storage.path), ['+gitaly']);
  assert.deepEqual(readdirSync(`${fixture.storage.path}/+gitaly/tmp`), []);
});

test('a removed repository is not counted any more, and one that stays is', async () => {
  await using fixture = await StorageFixture.create();
  const { storages, storage } = fixture;
  const [gone, stays] = ['a/x.git', 'a/y.git'].map((name) => fixture.init(name));
  assert.ok(gone !== undefined && stays !== undefined);
  await storages.repositoryCounts.count(storage);
  const vote = () => Promise.reject(new GitalyError('ABORTED', 'lost'));

  await removeRepository(storages, gone);
  await assert.rejects(removeRepository(storages, stays, { vote }), { code: 'ABORTED' });

  assert.deepEqual([...storages.repositoryCounts.entries()], [{ path: storage.path, prefix: 'a', count: 1 }]);
});

test('files that cannot be deleted are reported, and the repository is gone', async (context) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const failure = Object.assign(new Error('input/output error'), { code: 'EIO' });
  const { rm } = fsPromises;
  fsPromises.rm = () => Promise.reject(failure);
  syncBuiltinESMExports();
  context.after(() => {
    fsPromises.rm = rm;
    syncBuiltinESMExports();
  });
  const leftovers: unknown[] = [];

  await removeRepository(fixture.storages, repository, { onLeftover: (error) => leftovers.push(error) });
  const again = fixture.init('y.git');
  await removeRepository(fixture.storages, again);

  assert.deepEqual(leftovers, [failure]);
  assert.deepEqual(readdirSync(fixture.storage.path), ['+gitaly']);
});
