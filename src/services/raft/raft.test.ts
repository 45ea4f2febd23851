import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';

// Expected texts: the recordings of Gitaly 19.0 without Raft (first case), its checks (the others).
test('JoinCluster checks its fields in order, and then refuses', async () => {
  await using gitaly = await startGitaly();
  const { raft } = gitaly.connection;
  const fields = [
    ['partition_key', { partitionKey: { value: 'x' } }],
    ['member_id', { memberId: 1n }],
    ['storage_name', { storageName: 'default' }],
    ['replica', { replicas: [{ memberId: 1n }] }],
    ['leader_id', { leaderId: 1n }],
  ] as const;

  let request = {};
  for (const [missing, field] of fields) {
    await assert.rejects(raft.joinCluster(request), {
      code: 'INVALID_ARGUMENT',
      message: `invalid join cluster request: ${missing} is required`,
    });
    request = { ...request, ...field };
  }
  await assert.rejects(raft.joinCluster(request), { code: 'INTERNAL' });
});

test('messages for a cluster are refused', async () => {
  await using gitaly = await startGitaly();
  const { raft } = gitaly.connection;
  const wrong = { code: 'PERMISSION_DENIED', message: 'message from wrong cluster: got "x", want ""' };

  await assert.rejects(raft.sendMessage([{ clusterId: 'x' }]), wrong);
  await assert.rejects(
    raft.sendSnapshot([{ raftSnapshotPayload: { case: 'raftMsg', value: { clusterId: 'x' } } }]),
    wrong,
  );
  assert.deepEqual(Object.keys(await raft.sendMessage([])), ['$typeName']);
});

test('a node without Raft knows no partitions and no cluster', async () => {
  await using gitaly = await startGitaly();
  const { raft } = gitaly.connection;
  const refused = { code: 'INTERNAL', message: 'node is not Raft-enabled' };

  await assert.rejects(Array.fromAsync(raft.getPartitions({ storage: 'default' })), refused);
  await assert.rejects(raft.getClusterInfo({}), refused);
});
