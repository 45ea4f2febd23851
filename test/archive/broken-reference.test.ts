import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const { signal } = new AbortController();

test('a repository with a reference to no object is named, and its rest is archived', async (context) => {
  const directory = makeScratchDirectory('arm');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const storage = join(directory, 'default');
  mkdirSync(storage);
  const path = join(storage, 'a.git');
  initRepository(path);
  const commit = addCommit(path);
  gitOutput(path, ['update-ref', 'refs/heads/main', commit]);
  const broken = join(path, 'refs/heads/broken');
  writeFileSync(broken, `${'1'.repeat(40)}\n`);

  await using archived = await startArchived({ directory });
  const { archive, connection } = archived;
  await archive.settle('default');

  const [status] = archive.status('default');
  assert.deepEqual(
    [status?.failed, status?.problem],
    [['a.git'], 'an object that a reference names is missing'],
  );
  await archive.restore({ storage: 'default', path: 'a.git' }, { to: 'b.git', signal });
  assert.equal(gitOutput(join(storage, 'b.git'), ['rev-parse', 'main']), commit);

  rmSync(broken);
  const [ref, revision] = [Buffer.from('refs/heads/other'), Buffer.from(commit)];
  const repository = { storageName: 'default', relativePath: 'a.git' };
  await connection.repository.writeRef({ repository, ref, revision });
  await archive.settle('default');
  assert.deepEqual(archive.status('default')[0]?.failed, []);
  await archive.restore({ storage: 'default', path: 'a.git' }, { to: 'c.git', signal });
  assert.deepEqual(stateOf(join(storage, 'c.git')), stateOf(path));
});
