import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('archive');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();

test('a repository is restored to each of its generations, at its path and at another one', async () => {
  const place = join(directory, 'generations');
  mkdirSync(place);
  await using archived = await startArchived({ directory: place });
  const { archive, connection, storage } = archived;
  const repository = { storageName: 'default', relativePath: 'a/b.git', glRepository: 'p' };
  const target = { storage: 'default', path: 'a/b.git' };
  await connection.repository.createRepository({ repository });
  await archive.settle('default');
  const states: [number, object][] = [];
  for (const path of ['one', 'two', 'three']) {
    const fields = {
      repository,
      user: USER,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from(path),
    };
    await commitFiles(connection, fields, [{ type: 'create', path, content: `${path}\n`.repeat(100) }]);
    await archive.settle('default');
    const status = await archive.repositoryStatus(target);
    states.push([status?.generation ?? 0, stateOf(join(storage, 'a/b.git'))]);
  }

  for (const [generation, expected] of states) {
    await archive.restore(target, { at: { generation }, to: `at-${generation}.git`, signal });
    assert.deepEqual(stateOf(join(storage, `at-${generation}.git`)), expected);
  }

  await archive.settle('default');
  const [status] = archive.status('default');
  assert.equal(status?.archivedEvent, status?.lastEvent);
  assert.equal(status?.problem, '');
});
