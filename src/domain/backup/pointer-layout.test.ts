import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { LocalSource } from './local-source.ts';
import { findOlderBackup } from './older-layouts.ts';
import { createPointerBackup } from './pointer-layout.ts';

const { signal } = new AbortController();

test('a branch that is forced during a full backup with pointers has its objects in the bundle', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 3 });
  const git = (...args: string[]): string => fixture.runGit(repository.path, args).trim();
  const listed = git('commit-tree', '-p', 'main', '-m', 'forced away', 'main^{tree}');
  git('update-ref', 'refs/heads/side', listed);
  const source = new LocalSource(() => repository, signal);
  const bundle = source.bundle.bind(source);
  source.bundle = (revisions) => {
    git('update-ref', 'refs/heads/side', 'main');
    return bundle(revisions);
  };
  const bucket = new MemoryObjectStore();
  const name = { storageName: 'default', relativePath: 'x.git' };

  await createPointerBackup(bucket, source, { name, id: 'full', incremental: false, signal });

  const copy = fixture.init('copy.git').path;
  const file = join(copy, 'stored.bundle');
  writeFileSync(file, Buffer.concat(await Array.fromAsync(bucket.get('x/full/001.bundle', { signal }))));
  fixture.runGit(copy, ['bundle', 'unbundle', file]);
  assert.equal(fixture.runGit(copy, ['cat-file', '-t', listed]).trim(), 'commit');
});

test('increments with pointers have the numbers after that of the full backup', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const bucket = new MemoryObjectStore();
  const name = { storageName: 'default', relativePath: 'x.git' };
  const numbers: string[] = [];

  for (const id of ['full', 'later', 'last']) {
    const source = new LocalSource(() => repository, signal);
    const options = { name, id, incremental: id !== 'full', signal };
    assert.equal(await createPointerBackup(bucket, source, options), 'stored');
    numbers.push(await text(bucket.get('x/full/LATEST', { signal })));
    fixture.commit(repository.path);
  }

  assert.deepEqual(numbers, ['001', '002', '003']);
  for (const number of numbers) assert.ok(await bucket.head(`x/full/${number}.bundle`, { signal }), number);
});

// 16.7 stores pointers and an empty list of references for an empty repository.
test('an empty repository with pointers is found as one', async () => {
  const bucket = new MemoryObjectStore();
  const put = (key: string, text: string) => bucket.put(key, pieces(text), { signal });
  await put('x/LATEST', 'one');
  await put('x/one/LATEST', '001');
  await put('x/one/001.refs', '');

  const found = await findOlderBackup(bucket, 'x.git', '', { signal });

  assert.deepEqual([found?.empty, found?.objectFormat], [true, 'sha1']);
  await put('x/one/001.bundle', 'bundle');
  assert.equal((await findOlderBackup(bucket, 'x.git', '', { signal }))?.empty, false);
});

async function* pieces(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
