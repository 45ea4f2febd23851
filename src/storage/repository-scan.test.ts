import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { RepositoryScan } from './repository-scan.ts';

const { signal } = new AbortController();

/** Scans a storage, and remembers the repositories that were found. */
function startScan({ storage }: StorageFixture) {
  const scan = new RepositoryScan(storage);
  const known = new Map<string, readonly string[]>();
  const all = (): string[] => [...known.values()].flat().sort();
  const changed = async (): Promise<string[]> => {
    const before = all();
    const directories: string[] = [];
    const options = { knows: (path: string) => before.includes(path), signal };
    for await (const { directory, repositories } of scan.changes(options)) {
      directories.push(directory);
      if (repositories === undefined) known.delete(directory);
      else
        known.set(
          directory,
          repositories.map(({ relativePath }) => relativePath),
        );
    }
    return directories.sort();
  };
  /** Makes the times of directories so old that they are trusted. */
  const age = (...directories: string[]): void => {
    for (const directory of directories) utimesSync(join(storage.path, directory), 1e9, 1e9);
  };
  return { age, all, changed, scan };
}

test('a scan finds the repositories of clients, then those of directories that changed', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.storage;
  for (const name of ['a.git', 'b/x.git', 'b/c/y.git', '@pools/aa/p.git', '+gitaly/tmp/draft.git'])
    fixture.init(name);
  fixture.init('a.git/modules/inner.git');
  symlinkSync('a.git', join(path, 'link.git'));
  writeFileSync(join(path, 'file'), '');
  const { age, all, changed } = startScan(fixture);
  age('', 'b', 'b/c');

  assert.deepEqual(await changed(), ['', 'b', 'b/c']);
  assert.deepEqual(all(), ['a.git', 'b/c/y.git', 'b/x.git', 'link.git']);
  assert.deepEqual(await changed(), [], 'nothing was read again');

  fixture.init('b/c/z.git');
  rmSync(join(path, 'b/x.git'), { recursive: true });
  assert.deepEqual(await changed(), ['b', 'b/c']);
  assert.deepEqual(all(), ['a.git', 'b/c/y.git', 'b/c/z.git', 'link.git']);
});

test('a directory that is moved or removed takes its repositories with it', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.storage;
  for (const name of ['b/x.git', 'b/c/y.git']) fixture.init(name);
  const { age, all, changed } = startScan(fixture);
  age('', 'b', 'b/c');
  await changed();

  renameSync(join(path, 'b'), join(path, 'moved'));
  assert.deepEqual(await changed(), ['', 'b', 'b/c', 'moved', 'moved/c']);
  assert.deepEqual(all(), ['moved/c/y.git', 'moved/x.git']);

  rmSync(path, { recursive: true });
  await changed();
  assert.deepEqual(all(), []);
  mkdirSync(path);
  fixture.init('new.git');
  await changed();
  assert.deepEqual(all(), ['new.git']);
});

test('a directory whose last change is young is read again', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a.git');
  const { age, changed } = startScan(fixture);
  await changed();

  assert.deepEqual(await changed(), ['']);
  age('');
  assert.deepEqual(await changed(), ['']);
  assert.deepEqual(await changed(), []);
});

test('a directory that becomes a repository is found', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.storage;
  mkdirSync(join(path, 'b/late.git'), { recursive: true });
  const { age, all, changed } = startScan(fixture);
  age('', 'b', 'b/late.git');
  await changed();

  fixture.init('b/late.git');
  age('b');
  await changed();
  await changed();

  assert.deepEqual(all(), ['b/late.git']);
});

test('known repositories are not examined again, until a reset', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.storage;
  fixture.init('a.git');
  const scan = new RepositoryScan(fixture.storage);
  const scanned = async (knows: boolean) => {
    const found = await Array.fromAsync(scan.changes({ knows: () => knows, signal }));
    return found.flatMap(({ repositories = [] }) => repositories);
  };
  utimesSync(path, 1e9, 1e9);
  const modifiedMs = statSync(join(path, 'a.git')).mtimeMs;

  assert.deepEqual(await scanned(false), [{ relativePath: 'a.git', modifiedMs }]);
  assert.equal(scan.size, 1);
  scan.reset();
  assert.equal(scan.size, 0);
  assert.deepEqual(await scanned(true), [{ relativePath: 'a.git', modifiedMs: undefined }]);
});

// A scan of a hundred directories took 3 ms of CPU time, most of it in the thread pool.
test('directories that were scanned lately are looked at without the thread pool', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a.git');
  fixture.init('b/x.git');
  const { age, changed } = startScan(fixture);
  age('', 'b');
  await changed();

  let found: string[] | undefined;
  void changed().then((directories) => {
    found = directories;
  });
  for (let step = 0; step < 100 && found === undefined; step++) await undefined; // no event arrives meanwhile

  assert.deepEqual(found, []);
});

test('an abort ends a scan', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a.git');
  const scan = new RepositoryScan(fixture.storage);
  const reason = new Error('left');

  const scanning = Array.fromAsync(scan.changes({ knows: () => false, signal: AbortSignal.abort(reason) }));

  await assert.rejects(scanning, reason);
});
