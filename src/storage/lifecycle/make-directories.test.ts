import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { beginChange, currentGeneration } from '../cache/cache-generations.ts';
import type { Storage } from '../repository-target.ts';
import { createTempDirectory } from '../temp-directories.ts';
import { makeDirectories } from './make-directories.ts';

function storageIn(context: TestContext): Storage {
  const directory = makeScratchDirectory('make');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(`${directory}/storage`);
  return { name: 'default', path: `${directory}/storage` };
}

test('missing directories are made for their owner only; existing ones are fine', async (context) => {
  const storage = storageIn(context);

  await makeDirectories(storage, `${storage.path}/a/b`);
  await makeDirectories(storage, `${storage.path}/a/b/c`);
  await makeDirectories(storage, storage.path);

  assert.equal(statSync(`${storage.path}/a/b/c`).mode & 0o777, 0o700);
});

test('a file in the way is an error', async (context) => {
  const storage = storageIn(context);
  writeFileSync(`${storage.path}/file`, '');

  await assert.rejects(makeDirectories(storage, `${storage.path}/file`), { code: 'EEXIST' });
  await assert.rejects(makeDirectories(storage, `${storage.path}/file/below`), { code: 'EEXIST' });
});

test('a storage that went away is brought back by nothing', async (context) => {
  const storage = storageIn(context);
  const repository = { storage, relativePath: 'a/x.git' };
  await currentGeneration(repository);
  renameSync(storage.path, `${storage.path}.unmounted`);

  await assert.rejects(createTempDirectory(storage, 'repo'), { code: 'ENOENT' });
  await assert.rejects(currentGeneration(repository), { code: 'ENOENT' });
  await assert.rejects(beginChange(repository), { code: 'ENOENT' });
  assert.equal(existsSync(storage.path), false);
});
