import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { Repository } from '#storage/repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { openEntry } from './open-entry.ts';

const LARGE = 'large\n'.repeat(400_000);

let fixture: StorageFixture;
let repository: Repository;
let lost: string;
before(async () => {
  fixture = await StorageFixture.create();
  repository = fixture.init('x.git');
  const { path } = repository;
  const blob = (text: string): string => gitOutput(path, ['hash-object', '-w', '--stdin'], text);
  lost = blob('lost');
  const inner = gitOutput(path, ['mktree'], `100755 blob ${blob('inner')}\tf\n`);
  const lines = [
    `100644 blob ${blob('small')}\ta`,
    `040000 tree ${inner}\td`,
    `100644 blob ${blob('with a line feed')}\tl\nf`,
    `120000 blob ${blob('a')}\tlink`,
    `100644 blob ${blob(LARGE)}\tlarge`,
    `100644 blob ${lost}\tlost`,
    `160000 commit ${'1'.repeat(40)}\tsub`,
  ];
  const tree = gitOutput(path, ['mktree', '-z'], `${lines.join('\0')}\0`);
  gitOutput(path, [
    'update-ref',
    '--create-reflog',
    'refs/heads/main',
    gitOutput(path, ['commit-tree', tree, '-m', 'x']),
  ]);
  rmSync(join(path, 'objects', lost.slice(0, 2), lost.slice(2)));
});
after(() => fixture[Symbol.asyncDispose]());

/** Opens an entry, and returns its facts as `git ls-tree` prints them, and its contents. */
async function opened(path: string, revision = 'main', reader = repository) {
  const found = await openEntry(reader.objects, Buffer.from(revision), Buffer.from(path));
  if (found === undefined) return undefined;
  const { entry, kind, object } = found;
  const content = object && (object.data ?? (await buffer(object.stream)));
  const type = kind === 'submodule' ? 'commit' : kind;
  return [`${entry.mode.toString(8).padStart(6, '0')} ${type} ${entry.oid}`, content && Buffer.from(content)];
}

function listed(path: string): string {
  return gitOutput(repository.path, ['ls-tree', '-z', 'main', '--', path]).split('\t')[0] ?? '';
}

for (const revision of ['main', 'refs/heads/main', 'main@{0}', 'main^{/x}'])
  test(`entries of ${revision} are opened as git reads them, first and again`, async () => {
    // A reader with nothing in its caches.
    const reader = fixture.storages.open({ storageName: 'default', relativePath: 'x.git' });
    for (const path of ['a', 'd/f', 'l\nf', 'link', 'large', 'a', 'd/f', 'l\nf', 'link', 'large']) {
      const expected = gitOutput(repository.path, ['cat-file', 'blob', listed(path).split(' ')[2] ?? '']);

      const [facts, content] = (await opened(path, revision, reader)) ?? [];

      assert.equal(facts, listed(path));
      assert.equal(String(content).trimEnd(), expected, path);
    }
  });

test('a directory is a tree, and a submodule and a missing object have no contents', async () => {
  const [facts, content] = (await opened('d')) ?? [];
  assert.deepEqual([facts, content !== undefined], [listed('d'), true]);
  for (const path of ['sub', 'lost']) {
    assert.deepEqual(await opened(path), [listed(path), undefined]);
    assert.deepEqual(await opened(path), [listed(path), undefined]);
  }
});

test('a path is compared byte by byte', async () => {
  for (const path of [
    '',
    '/',
    'a/',
    '/a',
    './a',
    'd/../a',
    'd//f',
    'd/',
    'a/x',
    'link/x',
    'sub/x',
    'A',
    'd/g',
    'a\0',
  ])
    assert.equal(await opened(path), undefined, path);
});

test('what has no tree has no entries', async () => {
  for (const revision of ['none', lost, listed('a').split(' ')[2] ?? ''])
    assert.equal(await opened('a', revision), undefined, revision);
});
