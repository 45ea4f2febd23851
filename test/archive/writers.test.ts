import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('arw');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const target = { storage: 'default', path: 'a.git' };

function place(name: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  return path;
}

test('a second server with the same prefix is refused at its start, until the first has ended', async () => {
  const url = pathToFileURL(join(directory, 'shared')).href;
  const other = { directory: place('b'), url };
  {
    await using _first = await startArchived({ directory: place('a'), url });
    await assert.rejects(startArchived(other), {
      name: 'AnotherWriterError',
      message:
        /^the archive file:.*\/shared is written by another server \(.+\): stop it, or give each server/,
    });
  }
  await using second = await startArchived(other);
  await second.archive.settle('default');
  assert.equal(second.archive.status('default')[0]?.state, 'live');
});

test('two archives of a storage are written, and each can be restored from', async () => {
  const own = place('c');
  const url = ['one', 'two'].map((name) => pathToFileURL(join(own, name)).href);
  await using archived = await startArchived({ directory: own, url });
  const { archive, connection, storage } = archived;
  await connection.repository.createRepository({ repository });
  const fields = { repository, user: USER, branchName: Buffer.from('main'), commitMessage: Buffer.from('m') };
  await commitFiles(connection, fields, [{ type: 'create', path: 'file', content: 'content' }]);
  await archive.settle('default');

  for (const number of [0, 1]) {
    await archive.restore(target, { archive: number, to: `${number}.git`, signal });
    assert.deepEqual(stateOf(join(storage, `${number}.git`)), stateOf(join(storage, 'a.git')));
  }
});
