import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createRepository } from './lifecycle/create-repository.ts';
import { removeAll } from './lifecycle/remove-all.ts';
import { removeRepository } from './lifecycle/remove-repository.ts';
import { renameRepository } from './lifecycle/rename-repository.ts';

// The prefixes are those of Gitaly 19.0: a cluster's paths have the kind in the second place.
test('repositories are counted by the first directory of their path', async () => {
  await using fixture = await StorageFixture.create();
  for (const path of ['@hashed/aa/1.git', '@hashed/bb/2.git', '@groups/cc/wiki.git', 'alone.git'])
    fixture.init(path);
  for (const path of ['@cluster/repositories/aa/bb/1', '@cluster/pools/cc/dd/2']) fixture.init(path);
  mkdirSync(`${fixture.storage.path}/@empty/aa`, { recursive: true });
  const { repositoryCounts } = fixture.storages;
  assert.deepEqual([...repositoryCounts.entries()], []);

  await repositoryCounts.count(fixture.storage);

  const path = fixture.storage.path;
  assert.deepEqual(
    [...repositoryCounts.entries()].sort((a, b) => (a.prefix < b.prefix ? -1 : 1)),
    [
      { path, prefix: '@groups', count: 1 },
      { path, prefix: '@hashed', count: 2 },
      { path, prefix: 'pools', count: 1 },
      { path, prefix: 'repositories', count: 1 },
    ],
  );
});

test('created, renamed and removed repositories change the numbers', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  await storages.repositoryCounts.count(storage);
  const counts = () =>
    Object.fromEntries([...storages.repositoryCounts.entries()].map(({ prefix, count }) => [prefix, count]));

  const target = { storageName: 'default', relativePath: '@hashed/aa/1.git' };
  const created = await createRepository(storages, target);
  await assert.rejects(createRepository(storages, target), { code: 'ALREADY_EXISTS' });
  assert.deepEqual(counts(), { '@hashed': 1 });

  const renamed = { ...target, relativePath: '@groups/aa/1.git' };
  await renameRepository(storages, created, storages.locate(renamed));
  assert.deepEqual(counts(), { '@hashed': 0, '@groups': 1 });

  await removeRepository(storages, storages.open(renamed));
  assert.deepEqual(counts(), { '@hashed': 0, '@groups': 0 });

  await createRepository(storages, target);
  await removeAll(storages, storage);
  assert.deepEqual(counts(), { '@hashed': 0, '@groups': 0 });
});

test('directories that clients choose do not make ever more numbers', async () => {
  await using fixture = await StorageFixture.create();
  const { storage } = fixture;
  const { repositoryCounts: counts } = fixture.storages;
  await counts.count(storage);
  const at = (user: number) => ({ storage, path: '', relativePath: `user-${user}/a.git` });

  for (let user = 0; user < 1000; user++) counts.add(at(user), 1);
  counts.add(at(7), -1);
  counts.add(at(999), -1);

  const entries = [...counts.entries()];
  assert.equal(entries.length, 101);
  const of = (kind: string) => entries.find(({ prefix }) => prefix === kind)?.count;
  assert.deepEqual([of('user-0'), of('user-7'), of('overflow')], [1, 0, 899]);
});
