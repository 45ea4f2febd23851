import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type RepositoryWalkOptions, walkRepositories } from './walk-repositories.ts';

test('all repositories are found in the order of their paths, and none in another', async () => {
  await using fixture = await StorageFixture.create();
  const { storage } = fixture;
  for (const name of ['b/x.git', 'a.git', 'b.git', 'B.git', 'b/x/y.git']) fixture.init(name);
  fixture.init('b.git/modules/inner.git');
  fixture.init('+gitaly/tmp/draft.git');
  mkdirSync(join(storage.path, 'empty'));
  writeFileSync(join(storage.path, 'file'), '');
  symlinkSync('b.git', join(storage.path, 'link.git'));
  symlinkSync('b', join(storage.path, 'link'));
  symlinkSync('nowhere', join(storage.path, 'dangling'));

  const found = await Array.fromAsync(walkRepositories(storage));

  assert.deepEqual(
    found.map(({ relativePath }) => relativePath),
    ['B.git', 'a.git', 'b/x/y.git', 'b/x.git', 'b.git', 'link.git'],
  );
  for (const { path, relativePath, modifiedAt } of found) {
    assert.equal(path, join(storage.path, relativePath));
    assert.deepEqual(modifiedAt, statSync(path).mtime);
  }
});

test('in random order the same repositories are found', async () => {
  await using fixture = await StorageFixture.create();
  const names = Array.from({ length: 12 }, (_, index) => `${String(index).padStart(2, '0')}.git`);
  for (const name of names) fixture.init(name);
  const walk = async (): Promise<string[]> =>
    (await Array.fromAsync(walkRepositories(fixture.storage, { order: 'random' }))).map(
      ({ relativePath }) => relativePath,
    );

  const [first, second] = [await walk(), await walk()];

  assert.deepEqual(first.toSorted(), names);
  // Two of 12! orders.
  assert.notDeepEqual(first, second);
});

test('a missing storage has none, and an abort ends the walk', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a/x.git');
  const reason = new Error('enough');

  const missing = { name: 'gone', path: join(fixture.root, 'gone') };
  assert.deepEqual(await Array.fromAsync(walkRepositories(missing)), []);
  const walk = walkRepositories(fixture.storage, { signal: AbortSignal.abort(reason) });
  await assert.rejects(Array.fromAsync(walk), reason);
});

test('an unreadable directory ends the walk, unless it is passed over', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  await using fixture = await StorageFixture.create();
  for (const name of ['a.git', 'b/x.git', 'c.git']) fixture.init(name);
  chmodSync(fixture.root, 0o755);
  chmodSync(join(fixture.storage.path, 'b'), 0o700);
  const namesOf = async (options: RepositoryWalkOptions): Promise<string[]> =>
    (await Array.fromAsync(walkRepositories(fixture.storage, options))).map(
      ({ relativePath }) => relativePath,
    );

  process.seteuid?.(65_534);
  try {
    await assert.rejects(namesOf({}), { code: 'EACCES' });
    assert.deepEqual(await namesOf({ skipUnreadable: true }), ['a.git', 'c.git']);
  } finally {
    process.seteuid?.(0);
  }
});
