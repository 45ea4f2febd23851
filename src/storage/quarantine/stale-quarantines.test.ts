import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { removeStaleQuarantines, STALE_QUARANTINE_MS } from './stale-quarantines.ts';

test('quarantines of killed pushes go after three days, and nothing else does', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  const before = readdirSync(repository.objectDirectory);
  for (const name of ['tmp_objdir-incoming-x1', 'incoming-y2', 'other']) {
    mkdirSync(`${repository.objectDirectory}/${name}/pack`, { recursive: true });
    writeFileSync(`${repository.objectDirectory}/${name}/pack/tmp_pack_1`, 'half a pack');
  }

  const young = await removeStaleQuarantines(repository.objectDirectory);
  const laterMs = Date.now() + STALE_QUARANTINE_MS + 1000;
  const old = await removeStaleQuarantines(repository.objectDirectory, laterMs);

  assert.deepEqual(young, []);
  assert.deepEqual(old.toSorted(), ['incoming-y2', 'tmp_objdir-incoming-x1']);
  assert.deepEqual(readdirSync(repository.objectDirectory).toSorted(), [...before, 'other'].toSorted());
  assert.equal(fixture.runGit(repository.path, ['fsck', '--strict']), '');
});

test('a repository without objects has no quarantines', async () => {
  assert.deepEqual(await removeStaleQuarantines('/does/not/exist'), []);
});
