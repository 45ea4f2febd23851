import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deadOwnerSuffix } from '#base/process-identity';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { PutOptions } from '#object-store/object-store';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { AutomaticBundles } from './automatic-bundles.ts';
import { PendingRemovals, type RemovedRepository } from './pending-removals.ts';
import { removeBundles } from './remove-bundles.ts';

const { signal } = new AbortController();
const FOLDER = 'default/x.git/uri';
const BUNDLE = `${FOLDER}/1700000000-${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}.bundle`;
const CHAIN = `${FOLDER}/chain.json`;

async function keysIn(bucket: MemoryObjectStore): Promise<string[]> {
  return (await Array.fromAsync(bucket.list('', { signal }))).flat().map(({ key }) => key);
}

async function put(bucket: MemoryObjectStore, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await bucket.put(key, (async function* () {})(), { signal });
}

/** Remembers the keys of each deletion. */
class DeletingStore extends MemoryObjectStore {
  readonly deletions: (readonly string[])[] = [];

  override async delete(...given: Parameters<MemoryObjectStore['delete']>): Promise<void> {
    this.deletions.push(given[0]);
    await super.delete(...given);
  }
}

function automaticBundles(
  bucket: MemoryObjectStore,
  leftovers: RemovedRepository[] = [],
  pendingRemovals?: string,
): AutomaticBundles {
  return new AutomaticBundles(bucket, {
    pendingRemovals,
    onProblem: (error) => assert.fail(String(error)),
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
  class FailingStore extends MemoryObjectStore {
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

/** A bucket whose deletions fail until it works again. */
class AwayStore extends MemoryObjectStore {
  isAway = true;
  attempts = 0;

  override async delete(...given: Parameters<MemoryObjectStore['delete']>): Promise<void> {
    this.attempts++;
    if (this.isAway) throw new Error('away');
    await super.delete(...given);
  }
}

// A user saw: bundles of removed repositories stayed in the bucket after it had been away.
test('what a bucket that was away has left is removed after a restart', async () => {
  using scratch = scratchDirectory();
  const directory = join(scratch.path, 'pending');
  const bucket = new AwayStore();
  await put(bucket, CHAIN, BUNDLE, 'default/y.git/uri/chain.json', 'default/kept.git/uri/chain.json');
  const leftovers: RemovedRepository[] = [];
  {
    await using bundles = automaticBundles(bucket, leftovers, directory);
    for (const name of ['x.git', 'y.git'])
      bundles.removeLater({ storageName: 'default', relativePath: name });
    await until(() => leftovers.length === 2);
  }
  bucket.attempts = 0;
  {
    await using bundles = automaticBundles(bucket, leftovers, directory);
    bundles.startSweeps();
    await until(() => leftovers.length === 3);
  }
  assert.equal(bucket.attempts, 1, 'a sweep ends at the first failure');
  assert.equal(readdirSync(directory).length, 2);
  bucket.isAway = false;

  await using bundles = automaticBundles(bucket, leftovers, directory);
  bundles.startSweeps();

  await until(() => readdirSync(directory).length === 0);
  assert.deepEqual(await keysIn(bucket), ['default/kept.git/uri/chain.json']);
  assert.equal(leftovers.length, 3);
});

/** A bucket that responds to nothing. */
class SilentStore extends MemoryObjectStore {
  override async *list(...[prefix, options]: Parameters<MemoryObjectStore['list']>) {
    await once(options.signal, 'abort');
    options.signal.throwIfAborted();
    yield* super.list(prefix, options);
  }
}

test('a removal is remembered until it has ended, also when the server ends before', async () => {
  using scratch = scratchDirectory();
  {
    await using bundles = automaticBundles(new SilentStore(), [], scratch.path);
    for (const name of ['x.git', 'y.git', 'z.git'])
      bundles.removeLater({ storageName: 'default', relativePath: name });
  }
  const left = (await new PendingRemovals(scratch.path).list()).map((each) => each.relativePath);
  assert.deepEqual(left.sort(), ['x.git', 'y.git', 'z.git']);

  await using bundles = automaticBundles(new MemoryObjectStore(), [], scratch.path);
  bundles.startSweeps();

  await until(() => readdirSync(scratch.path).length === 0);
});

// The second rename found no file, which was logged as a removal that is not remembered.
test('a repository that is removed twice at once is remembered once', async () => {
  using scratch = scratchDirectory();
  const pending = new PendingRemovals(scratch.path);
  const target = { storageName: 'default', relativePath: 'x.git' };

  await Promise.all(Array.from({ length: 8 }, () => pending.add(target)));

  assert.deepEqual(await pending.list(), [target]);
  assert.equal(readdirSync(scratch.path).length, 1);
});

function scratchDirectory(): Disposable & { readonly path: string } {
  const path = makeScratchDirectory('bundles');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('a repository that is removed while its bundle is made leaves none', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  let isStored = false;
  class LateStore extends MemoryObjectStore {
    override async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
      const version = await super.put(key, pieces, options);
      isStored ||= key === CHAIN;
      rmSync(repository.path, { recursive: true, force: true });
      return version;
    }
  }
  const bucket = new LateStore();
  await using bundles = automaticBundles(bucket);

  for (let clones = 0; clones < 5; clones++) bundles.noteClone(repository, 'default');

  await until(async () => isStored && (await keysIn(bucket)).length === 0);
});

test('the removal of a repository that no object can be named after does not fail', async () => {
  const leftovers: RemovedRepository[] = [];
  await using bundles = automaticBundles(new MemoryObjectStore(), leftovers);

  bundles.removeLater({ storageName: 'default', relativePath: 'x\n.git' });

  assert.deepEqual(leftovers, []);
});

test('a note that cannot be read does not hide the others', async () => {
  using scratch = {
    path: makeScratchDirectory('odd'),
    [Symbol.dispose]: () => rmSync(scratch.path, { recursive: true }),
  };
  const pending = new PendingRemovals(scratch.path);
  mkdirSync(join(scratch.path, `${'0'.repeat(64)}.json`));
  await pending.add({ storageName: 'default', relativePath: 'x.git' });

  assert.deepEqual(await pending.list(), [{ storageName: 'default', relativePath: 'x.git' }]);
});

test('the note that a killed process left half written is removed by the next sweep', async () => {
  using scratch = {
    path: makeScratchDirectory('draft'),
    [Symbol.dispose]: () => rmSync(scratch.path, { recursive: true }),
  };
  const target = { storageName: 'default', relativePath: 'x.git' };
  const pending = new PendingRemovals(scratch.path);
  const draft = `${'0'.repeat(64)}.json.draft-0${deadOwnerSuffix(7)}`;
  writeFileSync(join(scratch.path, draft), '{"storageName":');

  await pending.add(target);
  assert.equal(readdirSync(scratch.path).length, 2);
  assert.deepEqual(await pending.list(), [target]);

  assert.ok(!readdirSync(scratch.path).includes(draft));
});
