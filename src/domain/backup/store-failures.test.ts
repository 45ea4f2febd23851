import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { ObjectStore } from '#object-store/object-store';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { FailingStore } from '#testkit/stores/failing-store';
import { createBackup } from './create-backup.ts';
import { LocalSource } from './local-source.ts';
import { findLatestManifest } from './manifests.ts';
import { restoreBackup } from './restore-backup.ts';

const { signal } = new AbortController();
const NAME = { storageName: 'group', relativePath: 'name.git' };
const TARGET = { storageName: 'default', relativePath: 'restored.git' };
const observer = { observePhase: () => {}, observeBundle: () => {} };

/** Server-side backups of one repository, in a store whose n-th operation fails. */
async function start(stack: AsyncDisposableStack) {
  const fixture = stack.use(await StorageFixture.create());
  const repository = fixture.init('x.git', { commits: 2 });
  const bucket = new MemoryObjectStore();
  const { path: target } = fixture.storages.locate(TARGET);
  const stateOf = (path: string): string[] => {
    fixture.runGit(path, ['fsck', '--full', '--no-dangling']);
    return [fixture.runGit(path, ['symbolic-ref', 'HEAD']), fixture.runGit(path, ['for-each-ref'])];
  };
  const create = (store: ObjectStore, id: string, incremental = true) => {
    const options = { name: NAME, id, incremental, latestId: '', observer, signal };
    return createBackup(store, new LocalSource(() => repository, signal), options);
  };
  const restore = (store: ObjectStore) =>
    restoreBackup(store, fixture.storages, TARGET, {
      name: NAME,
      id: '',
      useLatest: true,
      hooks: undefined,
      vote: undefined,
      onSkipped: () => {},
      signal,
    });
  return { fixture, repository, bucket, target, stateOf, create, restore };
}

/** Runs work with the first operation failing, then the second, until nothing fails. */
async function eachFailure(
  bucket: ObjectStore,
  work: (store: ObjectStore, number: number) => Promise<void>,
  check: (number: number, isOver: boolean) => Promise<void>,
): Promise<number> {
  for (let number = 1; ; number++) {
    const store = new FailingStore(bucket, number);
    const failure = await work(store, number).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.equal(failure === undefined, !store.hasFailed, `operation ${number}: ${failure}`);
    await check(number, !store.hasFailed);
    if (!store.hasFailed) return number - 1;
  }
}

test('whichever operation fails, a server-side backup is there as a whole or not at all', async () => {
  await using stack = new AsyncDisposableStack();
  const { fixture, repository, bucket, target, stateOf, create, restore } = await start(stack);
  let good = stateOf(repository.path);
  await create(bucket, 'first');
  const before = async () => JSON.stringify(await findLatestManifest(bucket, NAME, { signal }));

  const failures = await eachFailure(
    bucket,
    async (store, number) => {
      fixture.commit(repository.path, 100 + number);
      const latest = await before();
      await create(store, `increment-${number}`).catch(async (error: unknown) => {
        if ((await before()) !== latest) good = stateOf(repository.path); // it failed after the last write
        throw error;
      });
      good = stateOf(repository.path);
    },
    async () => {
      rmSync(target, { recursive: true, force: true });
      await restore(bucket);
      assert.deepEqual(stateOf(target), good);
    },
  );

  assert.ok(failures >= 5, `${failures} operations`);
});

test('whichever operation fails, a backup that is made again is the old one or the new one', async () => {
  await using stack = new AsyncDisposableStack();
  const { fixture, repository, bucket, target, stateOf, create, restore } = await start(stack);
  await create(bucket, 'first', false);
  let stored = stateOf(repository.path);

  const failures = await eachFailure(
    bucket,
    async (store, number) => {
      fixture.commit(repository.path, 200 + number);
      await create(store, 'first', false);
    },
    async (number, isOver) => {
      const made = stateOf(repository.path);
      rmSync(target, { recursive: true, force: true });
      await restore(bucket);
      const restored = stateOf(target);
      const isNew = isOver || isDeepStrictEqual(restored, made);
      assert.deepEqual(restored, isNew ? made : stored, `operation ${number}`);
      stored = restored;
    },
  );

  assert.ok(failures >= 5, `${failures} operations`);
});

test('whichever operation fails, a restore leaves no half repository', async () => {
  await using stack = new AsyncDisposableStack();
  const { fixture, repository, bucket, target, stateOf, create, restore } = await start(stack);
  await create(bucket, 'first');
  fixture.commit(repository.path, 50);
  await create(bucket, 'second');
  const wanted = stateOf(repository.path);

  const failures = await eachFailure(
    bucket,
    async (store) => {
      rmSync(target, { recursive: true, force: true });
      await restore(store);
    },
    async (number, isOver) => {
      assert.equal(existsSync(target), isOver, `half a repository after operation ${number}`);
      await restore(bucket);
      assert.deepEqual(stateOf(target), wanted);
    },
  );

  assert.ok(failures >= 4, `${failures} operations`);
});
