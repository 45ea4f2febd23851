import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createPool } from './create-pool.ts';

const POOL = { storageName: 'default', relativePath: `@pools/4e/07/4e07${'0'.repeat(60)}.git` };
const { signal } = new AbortController();

test('a pool has the branches, tags and format of its origin, and no remote', async () => {
  for (const objectFormat of ['sha1', 'sha256'] as const) {
    await using fixture = await StorageFixture.create();
    const origin = fixture.init('origin.git', { commits: 1, objectFormat });
    fixture.runGit(origin.path, ['tag', 'v1', 'main']);
    fixture.runGit(origin.path, ['update-ref', 'refs/keep-around/1', 'main']);

    await createPool(fixture.storages, POOL, origin.target, { signal });

    const { path } = fixture.storages.open(POOL);
    assert.deepEqual(fixture.runGit(path, ['for-each-ref', '--format=%(refname)']).split('\n'), [
      'refs/heads/main',
      'refs/tags/v1',
    ]);
    assert.equal(fixture.runGit(path, ['rev-parse', '--show-object-format']), objectFormat);
    assert.equal(fixture.runGit(path, ['remote']), '');
  }
});

test('an empty origin makes a pool of the same format', async () => {
  await using fixture = await StorageFixture.create();
  const origin = fixture.init('origin.git', { objectFormat: 'sha256' });

  await createPool(fixture.storages, POOL, origin.target, { signal });

  const { path } = fixture.storages.open(POOL);
  assert.equal(fixture.runGit(path, ['rev-parse', '--show-object-format']), 'sha256');
});

test('an origin that is missing or damaged makes no pool', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const target = { storageName: 'default', relativePath: 'origin.git' };
  await assert.rejects(createPool(storages, POOL, target, { signal }), {
    code: 'NOT_FOUND',
    message: /getting source repository path: /,
  });

  const origin = fixture.init('origin.git', { commits: 1 });
  rmSync(`${origin.path}/objects`, { recursive: true });
  writeFileSync(`${origin.path}/objects`, '');
  await assert.rejects(createPool(storages, POOL, target, { signal }), {
    message: /cloning to pool: exit status 128, stderr: "fatal: /,
  });

  assert.equal(existsSync(storages.locate(POOL).path), false);
});

test('creating a pool ends when it is aborted', async () => {
  await using fixture = await StorageFixture.create();
  const origin = fixture.init('origin.git', { commits: 1 });
  const abort = AbortSignal.abort();

  await assert.rejects(createPool(fixture.storages, POOL, origin.target, { signal: abort }), {
    code: 'CANCELLED',
  });
});
