import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startGitaly } from '#testkit/start-gitaly';

const storageName = 'default';

test('the id of the newest backup is the one that was written last', async () => {
  const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'backups') } });
  await using gitaly = await startGitaly({ config });
  const { backup } = gitaly.connection;
  await assert.rejects(backup.readLatestBackupID({ storageName }), {
    code: 'NOT_FOUND',
    message: "no backup id markers found: doesn't exist",
  });

  await backup.writeBackupID({ storageName, backupId: 'z' });
  await delay(20); // the clock of files has steps of some milliseconds
  await backup.writeBackupID({ storageName, backupId: 'a' });

  assert.equal((await backup.readLatestBackupID({ storageName })).backupId, 'a');
  assert.ok(existsSync(join(gitaly.directory, 'backups/backup_ids/z')));
});

test('the mark of a backup has the number of repositories that failed', async () => {
  const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'backups') } });
  await using gitaly = await startGitaly({ config });
  const write = async (failed: string): Promise<string> => {
    const metadata = { 'x-gitaly-failed-repositories': failed };
    await gitaly.connection.backup.writeBackupID({ storageName, backupId: 'a' }, { metadata });
    return readFileSync(join(gitaly.directory, 'backups/backup_ids/a'), 'utf8');
  };

  assert.equal(await write('1'), '{"failed":1}\n');
  assert.equal(await write('12'), '{"failed":12}\n');
  for (const other of ['0', '', '-1', 'many', '9'.repeat(400)]) assert.equal(await write(other), '', other);
});

test('an id that escapes the bucket is refused', async () => {
  const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'backups') } });
  await using gitaly = await startGitaly({ config });
  const { backup } = gitaly.connection;

  for (const backupId of ['../../x', '..', 'a\nb'])
    await assert.rejects(backup.writeBackupID({ storageName, backupId }), { code: 'INVALID_ARGUMENT' });

  assert.equal(existsSync(join(gitaly.directory, 'x')), false);
});

test('without a bucket there are no ids', async () => {
  await using gitaly = await startGitaly();
  const { backup } = gitaly.connection;
  const refused = { code: 'FAILED_PRECONDITION', message: /server-side backups are not configured$/ };

  await assert.rejects(backup.writeBackupID({ storageName, backupId: 'a' }), refused);
  await assert.rejects(backup.readLatestBackupID({ storageName }), refused);
});
