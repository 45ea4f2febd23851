import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';

function scratch() {
  const path = mkdtempSync(join(tmpdir(), 'bucket-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

// Expected texts: the recordings of Gitaly 19.0 without transactions.
test('without transactions there are no partitions, and no backups of them', async () => {
  await using gitaly = await startGitaly();
  const { partition } = gitaly.connection;

  await assert.rejects(partition.listPartitions({ storageName: 'default' }), {
    code: 'INTERNAL',
    message: 'transactions not enabled',
  });
  await assert.rejects(partition.backupPartition({ storageName: 'default', partitionId: '2' }), {
    code: 'FAILED_PRECONDITION',
    message: 'backup partition: server-side backups are not configured',
  });
  const line = gitaly.log.find((each) => each['grpc.method'] === 'BackupPartition');
  assert.partialDeepStrictEqual(line, {
    'grpc.request.StorageName': 'default',
    'grpc.request.partition_id': '2',
  });
});

// Expected text: Gitaly 19.0 without transactions. The call reported that no backups are
// configured.
test('with backups configured, a partition has no transaction to back up', async () => {
  using bucket = scratch();
  await using gitaly = await startGitaly({ config: { backup: { go_cloud_url: `file://${bucket.path}` } } });

  const backup = gitaly.connection.partition.backupPartition({ storageName: 'default', partitionId: '2' });

  await assert.rejects(backup, {
    code: 'INTERNAL',
    message: 'backup partition: transaction not initialized',
  });
});
