import assert from 'node:assert/strict';
import { readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';

const directory = makeScratchDirectory('arp');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const bucket = join(directory, 'bucket');
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'p' };
const target = { storage: 'default', path: 'a.git' };
const HOURS_AGO = 2;

/** Makes all objects of the archive older, except the lease of its writer. */
function makeOlder(): void {
  const time = Date.now() / 1000 - HOURS_AGO * 3600;
  for (const entry of readdirSync(bucket, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && !entry.parentPath.endsWith('nodes'))
      utimesSync(join(entry.parentPath, entry.name), time, time);
}

async function commit({ archive, connection }: ArchivedServer, path: string): Promise<number> {
  const fields = {
    repository,
    user: USER,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from(path),
  };
  await commitFiles(connection, fields, [{ type: 'create', path, content: path }]);
  await archive.settle('default');
  await archive.prune('default');
  return (await archive.repositoryStatus(target))?.generation ?? 0;
}

test('states are kept for the times of the configuration, also those of a server before', async () => {
  const archive = { keep_all: '1h', hourly: 0, daily: 0, weekly: 0, removed: '1h' };
  const numbers: number[] = [];
  {
    await using archived = await startArchived({ directory });
    await archived.connection.repository.createRepository({ repository });
    for (const path of ['one', 'two']) numbers.push(await commit(archived, path));
    makeOlder();
    await archived.archive.prune('default');
    for (const generation of numbers)
      await archived.archive.restore(target, { at: { generation }, to: `${generation}.git`, signal });
    await archived.archive.settle('default');
  }

  await using archived = await startArchived({ directory, config: { archive } });
  await archived.archive.settle('default');
  makeOlder();
  await archived.archive.prune('default');

  const [first = 0, last = 0] = numbers;
  const restore = (generation: number) =>
    archived.archive.restore(target, { at: { generation }, to: 'again.git', signal });
  await assert.rejects(restore(first), { code: 'NOT_FOUND' });
  await restore(last);
});
