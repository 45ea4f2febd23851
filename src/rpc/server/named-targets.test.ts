import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CommitService, FindCommitRequestSchema } from '#wire/gen/commit_pb';
import { BackupPartitionRequestSchema, PartitionService } from '#wire/gen/partition_pb';
import { methodInfo } from '#wire/method-info';
import { namedTargets } from './named-targets.ts';

test('a call on a partition names its storage and the partition, one on a repository neither', () => {
  const backup = create(BackupPartitionRequestSchema, { storageName: 'default', partitionId: '7' });
  assert.deepEqual(namedTargets(methodInfo(PartitionService.method.backupPartition), backup), {
    repository: undefined,
    pool: undefined,
    storageName: 'default',
    partitionId: '7',
  });

  const repository = { storageName: 'default', relativePath: 'x.git' };
  const find = create(FindCommitRequestSchema, { repository });
  const named = namedTargets(methodInfo(CommitService.method.findCommit), find);
  assert.equal(named?.repository?.relativePath, 'x.git');
  assert.deepEqual([named?.storageName, named?.partitionId], [undefined, undefined]);
});

test('an opaque message names nothing', () => {
  assert.equal(namedTargets(methodInfo(CommitService.method.findCommit), Buffer.from('x')), undefined);
});
