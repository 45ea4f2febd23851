import assert from 'node:assert/strict';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { lockRepository } from '../locks/repository-lock.ts';
import { tempRoot } from '../storage-layout.ts';
import { moveAway } from './move-away.ts';

const at = (relativePath: string) => ({ storageName: 'default', relativePath });

test('what is no repository is moved with its content, and the time is noted', async (context) => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const forget = context.mock.method(fixture.caches, 'forget');
  const before = Math.floor(Date.now() / 1000);
  for (const [name, make] of [
    ['a/file.git', () => writeFileSync(`${storage.path}/a/file.git`, 'content')],
    ['a/link.git', () => symlinkSync('nowhere', `${storage.path}/a/link.git`)],
    ['a/directory.git', () => mkdirSync(`${storage.path}/a/directory.git/objects`, { recursive: true })],
  ] as const) {
    mkdirSync(`${storage.path}/a`, { recursive: true });
    make();

    const movedTo = (await moveAway(storages, at(name))) ?? '';

    const [, seconds] =
      /\+gitaly\/tmp\/default-repositories\.old\.(\d+)\.[^/]+\/[a-z]+\.git$/.exec(movedTo) ?? [];
    assert.ok(Number(seconds) >= before && Number(seconds) <= Date.now() / 1000, movedTo);
    assert.deepEqual(readdirSync(`${storage.path}/a`), [], 'neither the file nor its lock is left');
    if (name === 'a/file.git') assert.equal(readFileSync(movedTo, 'utf8'), 'content');
    if (name === 'a/directory.git') assert.deepEqual(readdirSync(movedTo), ['objects']);
    assert.equal(forget.mock.calls.at(-1)?.arguments[0]?.path, `${storage.path}/${name}`);
  }
});

test('calls that used a repository learn that it was moved away after it had broken', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const { path } = fixture.init('x.git');
  rmSync(`${path}/HEAD`);
  const usedMs = performance.now();

  await moveAway(storages, at('x.git'));

  assert.equal(storages.changeSince(at('x.git'), usedMs), 'removed');
});

test('nothing is nothing to move, also when it goes at the last moment', async (context) => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  assert.equal(await moveAway(storages, at('x.git')), undefined);
  assert.deepEqual(readdirSync(storage.path), []);

  writeFileSync(`${storage.path}/x.git`, '');
  // It is requested between the lock and the move.
  context.mock.method(
    Date,
    'now',
    () => {
      renameSync(`${storage.path}/x.git`, `${storage.path}/y.git`);
      return 0;
    },
    { times: 1 },
  );

  assert.equal(await moveAway(storages, at('x.git')), undefined);
  assert.deepEqual(readdirSync(tempRoot(storage)), []);
  assert.deepEqual(readdirSync(storage.path), ['+gitaly', 'y.git']);
});

test('repositories are never moved, nor what has some, nor the server’s own directory', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  mkdirSync(tempRoot(storage), { recursive: true });
  const refused = async (path: string): Promise<void> =>
    await assert.rejects(
      moveAway(storages, at(path)),
      { code: 'FAILED_PRECONDITION', message: 'target directory contains other repositories' },
      path,
    );

  for (const path of ['.', '+gitaly', '+gitaly/tmp']) await refused(path);
  fixture.init('group/deep/x.git');
  for (const path of ['.', 'group', 'group/deep']) await refused(path);
  assert.equal(fixture.runGit(`${storage.path}/group/deep/x.git`, ['fsck']), '');
});

test('what another call creates or removes stays', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  writeFileSync(`${storage.path}/x.git`, '');
  await using _lock = await lockRepository(storage, `${storage.path}/x.git`);

  await assert.rejects(moveAway(storages, at('x.git')), { message: /^locking repository: / });

  assert.deepEqual(readdirSync(storage.path), ['x.git', 'x.git.lock']);
});
