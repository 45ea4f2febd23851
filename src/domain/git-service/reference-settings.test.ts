import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { referenceSettings } from './reference-settings.ts';

// A new setting of the server that is not on the list makes every fetch and push start git.
test('with all settings of the server, the references of a plain repository need no git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');

  assert.ok(referenceSettings(repository, 'upload-pack', []) !== undefined);
  assert.ok(referenceSettings(repository, 'receive-pack', []) !== undefined);
});

test('an unknown setting of the repository or the request is left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');
  assert.equal(referenceSettings(repository, 'upload-pack', [{ key: 'testing.x', value: 'y' }]), undefined);

  await runGit(['-C', repository.path, 'config', 'core.attributesFile', '/etc/attributes']);
  assert.equal(
    referenceSettings(
      fixture.storages.open({ storageName: 'default', relativePath: 'a.git' }),
      'upload-pack',
      [],
    ),
    undefined,
  );
});

// Symptom: copies of 30 settings for each repository took 70 MB for 10,000.
test('repositories share the settings of the server', async () => {
  await using fixture = await StorageFixture.create();
  const [one, other] = ['a.git', 'b.git'].map((name) =>
    referenceSettings(fixture.init(name), 'upload-pack', []),
  );

  assert.ok(one !== undefined);
  assert.equal(one.settings.at(-1), other?.settings.at(-1));
  assert.equal(one.hidden, other?.hidden);
});
