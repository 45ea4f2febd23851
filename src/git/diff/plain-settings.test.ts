import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { readSettings } from '../repository-files/config-file.ts';
import { isIrrelevantToDiff } from './plain-settings.ts';

// Otherwise every comparison starts a process, with each git that could use a waiting one.
test('the settings of the server and of a new repository do not change a comparison', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const settings = [...repository.git.settings('diff', { repository }), ...(readSettings(repository) ?? [])];

  assert.ok(settings.length > 0);
  assert.deepEqual(
    settings.filter(({ key }) => !isIrrelevantToDiff(key)),
    [],
  );
});

for (const key of ['diff.renames', 'color.ui', 'submodule.x.ignore', 'include.path'])
  test(`${key} changes comparisons`, () => assert.equal(isIrrelevantToDiff(key), false));
