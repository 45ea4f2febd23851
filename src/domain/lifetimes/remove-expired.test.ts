import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deadOwnerSuffix, ownerSuffix } from '#base/process-identity';
import { lifetimesRoot } from '#storage/storage-layout';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { Expiry } from './remove-expired.ts';
import { setLifetime } from './set-lifetime.ts';

const { signal } = new AbortController();

// One odd file in the directory of markers, and nothing of its storage was removed any more.
test('a marker that cannot be read is reported once, and the others are followed', async () => {
  await using fixture = await StorageFixture.create();
  const due = fixture.init('due.git');
  await setLifetime(due, { reference: undefined, expiresMs: Date.now() - 2000, signal });
  const odd = `${'0'.repeat(12)}-${'a'.repeat(32)}`;
  mkdirSync(join(lifetimesRoot(fixture.storage), odd));
  const failed: string[] = [];
  const expiry = new Expiry(fixture.storages, {
    onExpired: () => {},
    onFailed: (path) => failed.push(path),
  });

  for (const _ of [1, 2]) await expiry.sweep(fixture.storage, signal);

  assert.equal(existsSync(due.path), false);
  assert.deepEqual(failed, [odd]);
});

test('a sweep removes what a killed process left beside the markers', async () => {
  await using fixture = await StorageFixture.create();
  const root = lifetimesRoot(fixture.storage);
  const draft = `${'0'.repeat(12)}-${'a'.repeat(32)}.draft-`;
  mkdirSync(root, { recursive: true });
  for (const owner of [ownerSuffix(), deadOwnerSuffix(7)]) writeFileSync(join(root, draft + owner), '');
  const expiry = new Expiry(fixture.storages, { onExpired: () => {}, onFailed: assert.fail });

  await expiry.sweep(fixture.storage, signal);

  assert.deepEqual(readdirSync(root), [draft + ownerSuffix()]);
});
