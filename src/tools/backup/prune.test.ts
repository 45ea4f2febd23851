import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackup } from '#domain/backup/create-backup';
import { LocalSource } from '#domain/backup/local-source';
import { findLatestManifest, findManifest, hasManifest } from '#domain/backup/manifests';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { pruneBackupRuns } from './prune.ts';

const { signal } = new AbortController();
const name = { storageName: 'default', relativePath: 'x.git' };

/** A store that does something before objects are deleted for the first time. */
class Store extends MemoryObjectStore {
  beforeDelete: (() => Promise<void>) | undefined;

  override async delete(...call: Parameters<MemoryObjectStore['delete']>): Promise<void> {
    const act = this.beforeDelete;
    this.beforeDelete = undefined;
    await act?.();
    await super.delete(...call);
  }
}

async function start() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const store = new Store();
  const source = new LocalSource(() => repository, signal);
  const backUp = (id: string, latestId = '', from = source): Promise<void> =>
    createBackup(store, from, {
      ...{ name, id, incremental: latestId !== '', latestId, signal },
      observer: { observePhase: () => {}, observeBundle: () => {} },
    });
  return {
    ...{ fixture, repository, store, source, backUp },
    prune: (...kept: string[]) => pruneBackupRuns(store, new Set(kept), { isDryRun: false, signal }),
    commit: () => fixture.commit(repository.path, 2),
  };
}

// A user saw: exit code 0, and a backup whose first bundle was removed.
test('an increment fails if the backup that it is based on is removed meanwhile', async () => {
  const { fixture, repository, store, source, backUp, prune, commit } = await start();
  await using _fixture = fixture;
  await backUp('one');
  commit();
  const bundle = source.bundle.bind(source);
  source.bundle = async function* (selection) {
    yield* bundle(selection);
    await backUp('other', '', new LocalSource(() => repository, signal));
    assert.equal(await prune('other'), 1);
  };

  await assert.rejects(backUp('two', 'one'), { message: /^manager: the backup on which .* was removed/ });

  assert.equal(await hasManifest(store, name, 'two', { signal }), false);
  const { steps } = await findLatestManifest(store, name, { signal });
  assert.match(String(steps.at(-1)?.bundlePath), /other/);
});

test('backups are removed without the files that an increment needs that is stored meanwhile', async () => {
  const { fixture, store, backUp, prune, commit } = await start();
  await using _fixture = fixture;
  await backUp('one');
  await backUp('other');
  commit();
  store.beforeDelete = () => backUp('two', 'one');

  assert.equal(await prune('other'), 1);

  assert.equal(await hasManifest(store, name, 'one', { signal }), false);
  for (const { bundlePath, refPath } of (await findManifest(store, name, 'two', { signal })).steps)
    for (const key of [bundlePath, refPath])
      assert.ok((await store.head(key, { signal })) !== undefined, key);
});
