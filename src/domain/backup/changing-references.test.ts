import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { ObjectStore } from '#object-store/object-store';
import { removeRepository } from '#storage/lifecycle/remove-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { FailingStore } from '#testkit/stores/failing-store';
import { createBackup } from './create-backup.ts';
import { LocalSource } from './local-source.ts';
import { restoreBackup } from './restore-backup.ts';

const { signal } = new AbortController();
const NAME = { storageName: 'group', relativePath: 'name.git' };
const TARGET = { storageName: 'default', relativePath: 'restored.git' };
const observer = { observePhase: () => {}, observeBundle: () => {} };

/** Backups of a repository with the branches `main` and `side`. */
class Backups implements AsyncDisposable {
  readonly bucket = new MemoryObjectStore();
  readonly path: string;
  readonly source: LocalSource;
  /** Is called between each list of references and its bundle. */
  onBundle: () => void = () => {};
  readonly #fixture: StorageFixture;

  constructor(fixture: StorageFixture) {
    const repository = fixture.init('x.git', { commits: 3 });
    this.#fixture = fixture;
    this.path = repository.path;
    this.git('branch', 'side', 'main');
    this.commit('side');
    this.source = new LocalSource(() => repository, signal);
    const bundle = this.source.bundle.bind(this.source);
    this.source.bundle = (revisions) => {
      this.onBundle();
      return bundle(revisions);
    };
  }

  git(...args: string[]): string {
    return this.#fixture.runGit(this.path, args);
  }

  /** Adds a commit, with a number as its message, to a branch, in place of its last ones. */
  commit(branch: string, parent = branch, message = String(Math.random())): void {
    const oid = this.git('commit-tree', '-p', parent, '-m', message, `${parent}^{tree}`);
    this.git('update-ref', `refs/heads/${branch}`, oid);
  }

  get references(): string {
    return this.git('for-each-ref');
  }

  async create(id: string, options: CreateOptions = {}): Promise<void> {
    const { incremental = false, latestId = '', store = this.bucket } = options;
    const settings = { name: NAME, id, incremental, latestId, observer, signal };
    await createBackup(store, this.source, settings);
  }

  /** Returns the references of a restored repository whose objects are complete. */
  async restored(id: string): Promise<string> {
    const { storages } = this.#fixture;
    const { path } = storages.locate(TARGET);
    let skipped = 0;
    await restoreBackup(this.bucket, storages, TARGET, {
      ...{ name: NAME, id, useLatest: false, hooks: undefined, vote: undefined, signal },
      onSkipped: (references) => {
        skipped += references;
      },
    });
    assert.equal(skipped, 0, 'references are missing');
    this.#fixture.runGit(path, ['fsck', '--full', '--no-dangling']);
    const references = this.#fixture.runGit(path, ['for-each-ref']);
    await removeRepository(storages, storages.open(TARGET), { vote: undefined });
    return references;
  }

  async keys(): Promise<string[]> {
    const objects = (await Array.fromAsync(this.bucket.list('', { signal }))).flat();
    return objects.map(({ key }) => key.replace(/^.*name\.git\//, ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fixture[Symbol.asyncDispose]();
  }
}

interface CreateOptions {
  readonly incremental?: boolean;
  readonly latestId?: string;
  readonly store?: ObjectStore;
}

async function start(): Promise<Backups> {
  return new Backups(await StorageFixture.create());
}

const CHANGES: Readonly<Record<string, (backups: Backups) => void>> = {
  'forced to another commit': (backups) => backups.commit('side', 'main'),
  deleted: (backups) => void backups.git('branch', '-D', 'side'),
  'moved on': (backups) => backups.commit('side'),
};

for (const [change, make] of Object.entries(CHANGES))
  for (const times of [1, 100])
    test(`a branch that is ${change} during a backup is in it, after ${times} changes`, async () => {
      await using backups = await start();
      let listed = '';
      let left = times;
      backups.onBundle = () => {
        listed = backups.references;
        if (left-- <= 0) return;
        make(backups);
        if (left > 0 && change === 'deleted') backups.commit('side', 'main');
      };
      await backups.create('one');

      assert.equal(await backups.restored('one'), listed);
    });

test('branches that are deleted or forced during increments break no later increment', async () => {
  await using backups = await start();
  await backups.create('one');
  let lost = '';
  backups.onBundle = () => {
    lost = backups.git('rev-parse', 'new');
    backups.git('branch', '-D', 'new');
    backups.onBundle = () => {};
  };
  backups.commit('new', 'side');
  await backups.create('two', { incremental: true });
  backups.git('branch', 'new', lost);
  backups.commit('new');
  backups.onBundle = () => {
    backups.commit('new', 'main');
    backups.onBundle = () => {};
  };
  const listed = backups.references;

  await backups.create('three', { incremental: true });
  assert.equal(await backups.restored('three'), listed);
  backups.git('update-ref', 'refs/heads/new', lost);
  backups.commit('new');
  await backups.create('four', { incremental: true });

  assert.equal(await backups.restored('four'), backups.references);
});

// A user saw: no later increment could be restored, as its base lacked an object.
test('a new branch that is deleted during an increment, and its objects, are not in it', async () => {
  await using backups = await start();
  await backups.create('one');
  backups.commit('new', 'side');
  backups.commit('other', 'side');
  backups.onBundle = () => {
    backups.onBundle = () => {};
    backups.git('branch', '-D', 'new');
    backups.git('-c', 'gc.reflogExpire=now', 'gc', '--quiet', '--prune=now');
  };

  await backups.create('two', { incremental: true });

  assert.equal(await backups.restored('two'), backups.references);
});

test('an increment that is repeated on another base leaves the increments on it complete', async () => {
  await using backups = await start();
  await backups.create('full');
  backups.commit('main');
  await backups.create('first', { incremental: true, latestId: 'full' });
  const references = backups.references;
  await backups.create('second', { incremental: true, latestId: 'first' });
  await backups.create('other');

  await backups.create('first', { incremental: true, latestId: 'other' });

  for (const id of ['full', 'second', 'other', 'first']) await backups.restored(id);
  assert.equal(await backups.restored('second'), references);
  assert.equal(await backups.restored('first'), references);
});

// A user saw: `'refs/heads/a' exists; cannot create 'refs/heads/a/b'`, and no restore.
test('a branch that becomes a folder of branches between increments, and back, is restored', async () => {
  await using backups = await start();
  for (const branch of ['a', 'c/d']) backups.commit(branch, 'main');
  await backups.create('one');
  for (const branch of ['a', 'c/d']) backups.git('branch', '-D', branch);
  for (const branch of ['a/b', 'a/c', 'c']) backups.commit(branch, 'main');
  await backups.create('two', { incremental: true });
  const second = backups.references;
  for (const branch of ['a/b', 'a/c', 'c']) backups.git('branch', '-D', branch);
  for (const branch of ['a', 'c/d']) backups.commit(branch, 'main');
  await backups.create('three', { incremental: true });

  assert.equal(await backups.restored('two'), second);
  assert.equal(await backups.restored('three'), backups.references);
});

test('whichever operation of a repeated backup fails, it and its increments are complete', async () => {
  await using backups = await start();
  backups.commit('old', 'main');
  await backups.create('one');
  backups.commit('old');
  await backups.create('two', { incremental: true });
  const second = backups.references;
  let failures = 0;
  for (let number = 1, isOver = false; !isOver; number++, failures++) {
    const before = await backups.restored('one');
    backups.commit('main', 'main~1', `forced ${number}`);
    if (number === 3) backups.git('branch', '-D', 'old');
    const store = new FailingStore(backups.bucket, number);
    const failure = await backups.create('one', { store }).catch((error: unknown) => error);
    isOver = !store.hasFailed;

    assert.equal(failure === undefined, isOver, `operation ${number}: ${failure}`);
    const now = await backups.restored('one');
    assert.ok(now === backups.references || (!isOver && now === before), `operation ${number}: ${now}`);
    assert.equal(await backups.restored('two'), second, `operation ${number}`);
  }
  assert.ok(failures > 5, `${failures} operations`);
});

test('a backup that is repeated without changes has the same files, as in Gitaly', async () => {
  await using backups = await start();
  await backups.create('one');
  const files = async () => (await backups.keys()).filter((key) => /^one/.test(key));
  const before = await files();
  await backups.create('two', { incremental: true });

  await backups.create('one');

  assert.deepEqual(await files(), before);
  backups.onBundle = () => assert.fail('the list is another');
  const { referenceLines } = backups.source;
  let lists = 0;
  backups.source.referenceLines = () => {
    if (++lists === 2) backups.commit('side');
    return referenceLines.call(backups.source);
  };
  await assert.rejects(backups.create('one'), /the references changed/);
  assert.equal(await backups.restored('one'), await backups.restored('two'));
});

test('a repeated backup keeps the files that increments need, and no others', async () => {
  await using backups = await start();
  await backups.create('one');
  await backups.create('two', { incremental: true });
  backups.git('branch', '-D', 'side');
  backups.git('-c', 'gc.reflogExpire=now', 'gc', '--quiet', '--prune=now');
  const filesOf = async (id: string): Promise<string[]> =>
    (await backups.keys()).filter((key) => key.startsWith(`${id}/`));

  await backups.create('one');
  const files = (...numbers: string[]): string[] =>
    numbers.flatMap((number) => [`one/${number}.bundle`, `one/${number}.refs`]);
  assert.deepEqual(await filesOf('one'), files('001', '002'));
  backups.commit('main');
  await backups.create('one');

  assert.deepEqual(await filesOf('one'), files('001', '003'));
  assert.match(await backups.restored('two'), /refs\/heads\/side/);
  assert.equal(await backups.restored('one'), backups.references);
  await backups.create('one', { incremental: true });
  assert.equal(await backups.restored('one'), backups.references);
});

test('a repeated backup has no hooks of the one before', async () => {
  await using backups = await start();
  mkdirSync(`${backups.path}/custom_hooks`);
  writeFileSync(`${backups.path}/custom_hooks/update`, '');
  await backups.create('one');
  await backups.create('two', { incremental: true });
  rmSync(`${backups.path}/custom_hooks`, { recursive: true });

  await backups.create('one');

  const hooks = (await backups.keys()).filter((key) => key.endsWith('.tar'));
  assert.deepEqual(hooks, ['two/002.custom_hooks.tar']);
});
