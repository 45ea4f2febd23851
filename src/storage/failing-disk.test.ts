import assert from 'node:assert/strict';
import fs, { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import fsPromises, { stat } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { archiveTree } from './archive/archive-tree.ts';
import { removeRepository } from './lifecycle/remove-repository.ts';
import { replaceLocked } from './locks/locked-file.ts';
import { removeTree } from './temp-directories.ts';

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('failing');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code, errno: -1, syscall: 'test' });
}

/** Makes the first calls of a function for files fail. */
function failing(context: TestContext, name: 'rm' | 'openSync', codes: readonly string[]): void {
  const owner: object = name === 'rm' ? fsPromises : fs;
  const original = Reflect.get(owner, name);
  const left = [...codes];
  const fake = (...args: unknown[]): unknown => {
    const code = left.shift();
    if (code === undefined) return Reflect.apply(original, owner, args);
    if (name === 'rm') return Promise.reject(systemError(code));
    throw systemError(code);
  };
  Reflect.set(owner, name, fake);
  syncBuiltinESMExports();
  context.after(() => {
    Reflect.set(owner, name, original);
    syncBuiltinESMExports();
  });
}

for (const code of ['EACCES', 'EPERM']) {
  test(`a tree that cannot be removed for ${code} gets other permissions`, async (context) => {
    const directory = scratch(context);
    mkdirSync(join(directory, 'tree/deep'), { recursive: true, mode: 0o755 });
    failing(context, 'rm', [code]);

    await removeTree(join(directory, 'tree'));

    await assert.rejects(stat(join(directory, 'tree')), { code: 'ENOENT' });
  });
}

test('a tree that cannot be removed for another reason stays as it is', async (context) => {
  const directory = scratch(context);
  mkdirSync(join(directory, 'tree'), { mode: 0o755 });
  failing(context, 'rm', ['EIO']);

  await assert.rejects(removeTree(join(directory, 'tree')), { code: 'EIO' });

  assert.equal((await stat(join(directory, 'tree'))).mode & 0o777, 0o755);
});

test('files of a removed repository that cannot be deleted are told, and no error', async (context) => {
  await using fixture = await StorageFixture.create();
  const repositories = [fixture.init('x.git'), fixture.init('y.git')] as const;
  failing(context, 'rm', ['EIO', 'EIO']);
  const leftovers: unknown[] = [];

  await removeRepository(fixture.storages, repositories[0]);
  await removeRepository(fixture.storages, repositories[1], { onLeftover: (error) => leftovers.push(error) });

  for (const { path } of repositories) await assert.rejects(stat(path), { code: 'ENOENT' });
  assert.deepEqual(leftovers.map(String), ['Error: EIO']);
});

test('a file whose directory cannot be flushed is an error, and is replaced', async (context) => {
  const file = join(scratch(context), 'file');
  writeFileSync(file, 'old');
  failing(context, 'openSync', ['EIO']);

  await assert.rejects(replaceLocked(file, Buffer.from('new'), { mode: 0o644 }), { code: 'EIO' });

  assert.equal(readFileSync(file, 'utf8'), 'new');
});

test('a link that takes the place of a file is not followed into an archive', async (context) => {
  const directory = scratch(context);
  writeFileSync(join(directory, 'secret'), 'secret');
  symlinkSync('secret', join(directory, 'link'));
  // It was a file when it was checked.
  const faked = context.mock.method(fsPromises, 'lstat', stat);
  syncBuiltinESMExports();
  context.after(() => {
    faked.mock.restore(); // only later without this, so other tests would keep it
    syncBuiltinESMExports();
  });
  const { signal } = new AbortController();

  const archive = archiveTree(join(directory, 'link'), { name: 'top', signal });

  await assert.rejects(Array.fromAsync(archive), { code: 'ELOOP' });
});
