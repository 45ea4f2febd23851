import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { objectDirectories } from './object-directories.ts';

const WRONG = [
  '/',
  '.',
  'refs',
  'refs/heads/x',
  'hooks',
  'custom_hooks/pre-receive.d',
  'objects/../refs',
  'info',
];
const RIGHT = ['objects', 'objects/tmp_objdir-incoming-x', 'quarantine', 'q/objects', '/objects'];

// UserCommitFiles wrote objects into the repository's own directory, or among its references.
test('objects are not written where git keeps something else', async () => {
  await using fixture = await StorageFixture.create();
  const { path, relativePath, storage } = fixture.init('a.git');
  const location = { path, relativePath, storage };
  const directoryOf = (named: string): string =>
    objectDirectories(location, { storageName: storage.name, relativePath, gitObjectDirectory: named })
      .objectDirectory;

  for (const named of WRONG)
    assert.throws(
      () => directoryOf(named),
      { code: 'INTERNAL', message: /lies outside of the repository/ },
      named,
    );
  for (const named of RIGHT) assert.equal(directoryOf(named), `${path}/${named.replace(/^\//, '')}`);
});
