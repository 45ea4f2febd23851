import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { quarantineOf } from './access.ts';
import type { HookCall } from './hook-call.ts';

function callIn(repository: Repository, environment = {}): HookCall {
  return {
    repository,
    payload: {
      repository: repository.target,
      objectFormat: 'sha1',
      transaction: undefined,
      user: undefined,
      clientContext: undefined,
    },
    environment,
    pushOptions: [],
    output: { stdout: async () => {}, stderr: async () => {} },
    signal: new AbortController().signal,
    correlationId: '',
  };
}

test('the quarantine of a push is the one that git names, relative to the real path', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');
  symlinkSync(path, join(fixture.storage.path, 'link.git'));
  const linked = fixture.storages.open({ storageName: 'default', relativePath: 'link.git' });
  const environment = {
    GIT_OBJECT_DIRECTORY: `${path}/objects/incoming`,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `${path}/objects`,
  };

  assert.deepEqual(quarantineOf(callIn(linked, environment)), {
    objectDirectory: 'objects/incoming',
    alternateObjectDirectories: ['objects'],
  });
  assert.throws(() => quarantineOf(callIn(linked, { ...environment, GIT_OBJECT_DIRECTORY: 'x' })), {
    code: 'INTERNAL',
    message: `getting relative git object directories: Rel: can't make x relative to ${path}`,
  });
});

test('without git it is the one of the repository, if it has one', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using quarantine = await Quarantine.create(repository);

  assert.equal(quarantineOf(callIn(repository)), undefined);
  const found = quarantineOf(callIn(quarantine.repository));
  assert.match(found?.objectDirectory ?? '', /^\.\.\/\+gitaly\/tmp\/quarantine-/);
  assert.deepEqual(found?.alternateObjectDirectories, ['objects']);
});
