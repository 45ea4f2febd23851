import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Limit } from '#base/limits/limit';
import { walkRepositories } from '#storage/walk-repositories';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { LinkedForks } from './linked-forks.ts';

const { signal } = new AbortController();
const at = (relativePath: string) => ({ storageName: 'default', relativePath });

// Symptom: each attempt of a fork left another pool, which nothing removed.
test('a pool is removed if its source cannot be linked to it', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const source = fixture.init('source.git', { commits: 1 });
  const forks = new LinkedForks(storages, new Limit<string>({ capacityPerOwner: 1 }));
  const fork = () => forks.create(at('fork.git'), source.target, { branch: undefined, signal });
  const lock = `${source.path}/objects/info/alternates.lock`;
  mkdirSync(`${source.path}/objects/info`, { recursive: true });
  writeFileSync(lock, '');
  const paths = async (): Promise<string[]> =>
    (await Array.fromAsync(walkRepositories(storage, { skipUnreadable: false, signal }))).map(
      ({ relativePath }) => relativePath,
    );

  await assert.rejects(fork(), /committing alternates: locking file/);
  assert.deepEqual(await paths(), ['source.git']);

  rmSync(lock);
  assert.equal(await fork(), true);
  assert.equal((await paths()).length, 3);
});
