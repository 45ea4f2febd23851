import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { lockRepository } from '../locks/repository-lock.ts';
import { tempRoot } from '../storage-layout.ts';
import { createRepository } from './create-repository.ts';
import { removeRepository } from './remove-repository.ts';
import { putBackReplaced } from './replaced-repository.ts';

const TARGET = { storageName: 'default', relativePath: 'group/a.git' };

/** A storage whose repository is no longer at its path, and the other one not yet: as after a kill. */
async function startInterrupted() {
  const fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const { path } = fixture.init(TARGET.relativePath, { commits: 1 });
  const oid = fixture.runGit(path, ['rev-parse', 'main']);
  const reached = Promise.withResolvers<void>();
  storages.lifecycleRecorder = {
    recordWhile: async ({ kind }, make) => {
      if (kind === 'removed') return await make();
      reached.resolve();
      await new Promise(() => {});
    },
  };
  void createRepository(storages, TARGET, { replaces: true });
  await reached.promise;
  storages.lifecycleRecorder = undefined;
  const lock = `${path}.lock`;
  const problems: unknown[] = [];
  const putBack = () => putBackReplaced(storages, storage, (error) => problems.push(error));
  const parts = { fixture, lock, oid, path, problems, putBack };
  return { ...parts, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

function replacedOf({ storage }: StorageFixture): string[] {
  return readdirSync(tempRoot(storage)).filter((name) => name.includes('+replaced-'));
}

// It was deleted with the temporary files at the next start of the server.
test('a repository whose process died while it was replaced is moved back', async () => {
  await using made = await startInterrupted();
  const { fixture, lock, oid, path, putBack } = made;

  await putBack();
  assert.equal(existsSync(path), false, 'it is locked');
  rmSync(lock);
  await putBack();

  assert.equal(fixture.runGit(path, ['rev-parse', 'main']), oid);
  assert.deepEqual(replacedOf(fixture), []);
});

test('a replaced repository is not moved back over another one', async () => {
  await using made = await startInterrupted();
  const { fixture, lock, path, putBack } = made;
  rmSync(lock);
  await createRepository(fixture.storages, TARGET);

  await putBack();

  assert.equal(fixture.runGit(path, ['for-each-ref']), '');
  await removeRepository(fixture.storages, fixture.storages.open(TARGET));
  await putBack();
  assert.equal(existsSync(path), false, 'it was removed after that');
});

test('a repository that was replaced leaves nothing', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const { path } = fixture.init(TARGET.relativePath, { commits: 1 });

  await createRepository(storages, TARGET, { replaces: true });

  assert.equal(fixture.runGit(path, ['for-each-ref']), '');
  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
  await using _lock = await lockRepository(fixture.storage, path);
});

// Symptom: no temporary directory was cleaned any more.
test('one that cannot be moved back does not keep others from it, and stays', async () => {
  await using made = await startInterrupted();
  const { fixture, lock, oid, path, problems, putBack } = made;
  rmSync(lock);
  const stuck = ['0+replaced-0', 'z+replaced-0'];
  for (const name of stuck) {
    mkdirSync(join(tempRoot(fixture.storage), name, 'repo'), { recursive: true });
    writeFileSync(join(tempRoot(fixture.storage), name, 'path'), '../elsewhere.git');
  }

  const kept = await putBack();

  assert.equal(fixture.runGit(path, ['rev-parse', 'main']), oid);
  assert.deepEqual(kept, new Set(stuck));
  assert.equal(problems.length, 2);
});
