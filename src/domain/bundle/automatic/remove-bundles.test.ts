import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { MemoryStore } from '#object-store/memory/memory-store';
import type { PutOptions } from '#object-store/object-store';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { AutomaticBundles, type RemovedRepository } from './automatic-bundles.ts';
import { removeBundles } from './remove-bundles.ts';

const { signal } = new AbortController();
const FOLDER = 'default/x.git/uri';
const BUNDLE = `${FOLDER}/1700000000-${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}.bundle`;
const CHAIN = `${FOLDER}/chain.json`;

async function keysIn(bucket: MemoryStore): Promise<string[]> {
  return (await Array.fromAsync(bucket.list('', { signal }))).flat().map(({ key }) => key);
}

async function put(bucket: MemoryStore, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await bucket.put(key, (async function* () {})(), { signal });
}

/** Remembers the keys of each deletion. */
class DeletingStore extends MemoryStore {
  readonly deletions: (readonly string[])[] = [];

  override async delete(...given: Parameters<MemoryStore['delete']>): Promise<void> {
    this.deletions.push(given[0]);
    await super.delete(...given);
  }
}

function automaticBundles(bucket: MemoryStore, leftovers: RemovedRepository[] = []): AutomaticBundles {
  return new AutomaticBundles(bucket, {
    maxAgeMs: 1000,
    observe: () => {},
    onError: () => {},
    onLeftover: (target) => leftovers.push(target),
  });
}

test('the chain is removed before its bundles, and nothing else', async () => {
  const bucket = new DeletingStore();
  const others = [
    `${FOLDER}/a.git/uri/default.bundle`,
    `${FOLDER}/notes.txt`,
    'default/x.git2/uri/chain.json',
  ];
  const requested = `${FOLDER}/default.bundle`;
  await put(bucket, BUNDLE, requested, CHAIN, ...others);

  await removeBundles(bucket, FOLDER, signal);

  assert.deepEqual(bucket.deletions, [[CHAIN], [BUNDLE, requested]]);
  assert.deepEqual((await keysIn(bucket)).sort(), others.sort());
});

test('a bucket that fails is reported with the repository', async () => {
  class FailingStore extends MemoryStore {
    override async delete(): Promise<void> {
      throw new Error('forbidden');
    }
  }
  const bucket = new FailingStore();
  await put(bucket, CHAIN);
  const leftovers: RemovedRepository[] = [];
  await using bundles = automaticBundles(bucket, leftovers);
  const target = { storageName: 'default', relativePath: 'x.git' };

  bundles.removeLater(target);

  await until(() => leftovers.length > 0);
  assert.deepEqual(leftovers, [target]);
});

test('a repository that is removed while its bundle is made leaves none', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  let isStored = false;
  class LateStore extends MemoryStore {
    override async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
      await super.put(key, pieces, options);
      isStored ||= key === CHAIN;
      rmSync(repository.path, { recursive: true, force: true });
    }
  }
  const bucket = new LateStore();
  await using bundles = automaticBundles(bucket);

  for (let clones = 0; clones < 5; clones++) bundles.noteClone(repository, 'default');

  await until(async () => isStored && (await keysIn(bucket)).length === 0);
});

test('the removal of a repository that no object can be named after does not fail', async () => {
  const leftovers: RemovedRepository[] = [];
  await using bundles = automaticBundles(new MemoryStore(), leftovers);

  bundles.removeLater({ storageName: 'default', relativePath: 'x\n.git' });

  assert.deepEqual(leftovers, []);
});
