import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openReadOnlyArchive } from '#archive/bucket/archive-bucket';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const { signal } = new AbortController();
const HASH = '0'.repeat(64);
const POOL = `@pools/00/00/${HASH}.git`;
const HOUR_S = 3600;
const at = (relativePath: string) => ({ storageName: 'default', relativePath, glRepository: 'project-1' });

/** Makes a repository that is linked to a pool with its objects. */
async function fill({ archive, connection }: ArchivedServer): Promise<void> {
  const repository = at('member.git');
  await connection.repository.createRepository({ repository });
  const branch = { repository, user: USER, branchName: Buffer.from('main'), commitMessage: Buffer.from('c') };
  await commitFiles(connection, branch, [{ type: 'create', path: 'file', content: 'content' }]);
  const objectPool = { repository: at(POOL) };
  await connection.objectPool.createObjectPool({ objectPool, origin: repository });
  await connection.objectPool.linkRepositoryToObjectPool({ objectPool, repository });
  await archive.settle('default');
}

async function problemsOf({ archive }: ArchivedServer): Promise<[string, number, boolean][]> {
  const results = await Array.fromAsync(archive.verify('default', { isFull: true, signal }));
  return results.map(({ isRepaired, path, problems }) => [path, problems.length, isRepaired]);
}

test('a repository gets all objects itself when the chain of its pool cannot be read', async (context) => {
  const directory = makeScratchDirectory('arl');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const url = pathToFileURL(join(directory, 'bucket')).href;
  const storage = join(directory, 'default');
  mkdirSync(storage);
  {
    await using archived = await startArchived({ directory, url });
    await fill(archived);
  }
  // Without its progress, the next server compares, and finds the pool.
  rmSync(join(archiveDirectory({ path: storage }, url), 'progress.json'), { force: true });
  await using archived = await startArchived({ directory, url });
  const { archive, connection } = archived;
  await archive.settle('default');
  const id = (await (await openReadOnlyArchive(url, signal)).paths.resolve(POOL)) ?? '';
  const folder = join(directory, 'bucket', 'r', id);
  assert.equal(readdirSync(join(folder, 'pin')).length, 1);
  const generation = join(folder, 'g', readdirSync(join(folder, 'g')).sort()[1] ?? '');
  const bytes = readFileSync(generation);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(generation, bytes);

  assert.deepEqual(await problemsOf(archived), [
    [POOL, 1, true],
    ['member.git', 1, true],
  ]);
  assert.deepEqual(await problemsOf(archived), [
    [POOL, 0, false],
    ['member.git', 0, false],
  ]);

  const time = Date.now() / 1000 - HOUR_S;
  utimesSync(join(folder, 'given-up'), time, time);
  await archive.prune('default');
  const left = readdirSync(folder, { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter((entry) => entry.isFile()),
    [],
  );
  await archive.restore({ storage: 'default', path: 'member.git' }, { to: 'restored.git', signal });
  await connection.objectPool.disconnectGitAlternates({ repository: at('member.git') });
  assert.deepEqual(stateOf(join(storage, 'restored.git')), stateOf(join(storage, 'member.git')));
});
