import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';

const skip = withoutPostgres;
const repository = {
  storageName: 'default',
  relativePath: '@hashed/ab/cd/abcd.git',
  glRepository: 'project-1',
  glProjectPath: 'group/project',
};
const correlationId = 'call-1';

test('all lines about a write have its correlation id and method', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository }, { correlationId });
  await until(() => cluster.log.some(({ msg }) => msg === 'finished streaming call with code OK'));
  const lines = cluster.log.filter((line) => line.correlation_id === correlationId);
  const linesOf = (message: string) => lines.filter(({ msg }) => msg === message);
  const ofCall = {
    component: 'praefect.StreamServerInterceptor',
    system: 'grpc',
    'span.kind': 'server',
    'grpc.service': 'gitaly.RepositoryService',
    'grpc.method': 'CreateRepository',
    'grpc.request.fullMethod': '/gitaly.RepositoryService/CreateRepository',
    'grpc.meta.method_type': 'bidi_stream',
    'grpc.meta.method_operation': 'mutator',
    'grpc.meta.method_scope': 'repository',
  };

  for (const message of [
    'transaction completed',
    'transactional node states',
    'queueing replication jobs',
    'finished streaming call with code OK',
  ]) {
    assert.equal(linesOf(message).length, 1, message);
    assert.partialDeepStrictEqual(linesOf(message)[0], ofCall, message);
  }
  assert.deepEqual(linesOf('transactional node states')[0]?.['transaction.primary'], 'gitaly-1');
  assert.deepEqual(linesOf('transactional node states')[0]?.['transaction.secondaries'], {
    updated: ['gitaly-2', 'gitaly-3'],
  });
  const [queued = {}] = linesOf('queueing replication jobs');
  assert.deepEqual(queued['replication.updated'], ['gitaly-2', 'gitaly-3']);
  assert.ok(!('replication.outdated' in queued), 'an empty list is left out');
  const votes = linesOf('VoteTransaction: transaction committed');
  assert.ok(votes.length >= 3, 'each node votes');
  for (const vote of votes)
    assert.partialDeepStrictEqual(vote, {
      component: 'backchannel.PraefectServer',
      'grpc.method': 'VoteTransaction',
      'grpc.request.fullMethod': '/gitaly.RefTransaction/VoteTransaction',
    });
});

test('the access line of a read names the node and the path on its disk', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });

  await cluster.connection.repository.repositorySize({ repository }, { correlationId });

  const finished = () =>
    cluster.log.find(
      (line) => line.correlation_id === correlationId && line.msg === 'finished streaming call with code OK',
    );
  await until(() => finished() !== undefined);
  assert.partialDeepStrictEqual(finished()?.route, { replica_path: repository.relativePath });
  assert.match(JSON.stringify(finished()?.route), /"storage":"gitaly-[123]"/);
});

test('the access line of a call to a storage names the node', async () => {
  await using cluster = await startCluster();

  const request = { storageName: 'default', name: 'none' };
  await cluster.connection.namespace.namespaceExists(request, { correlationId });

  const finished = () =>
    cluster.log.find(
      (line) => line.correlation_id === correlationId && line.msg === 'finished streaming call with code OK',
    );
  await until(() => finished() !== undefined);
  assert.match(JSON.stringify(finished()?.route), /^{"storage":"gitaly-[123]"}$/);
});

test('without a correlation id of the client all nodes get that of the access line', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository }, { correlationId: '' });
  await until(() => cluster.log.some(({ msg }) => msg === 'finished streaming call with code OK'));
  const line = cluster.log.find(({ msg }) => msg === 'finished streaming call with code OK');

  for (const { log } of cluster.nodes) {
    const create = log.find((each) => each['grpc.method'] === 'CreateRepository');
    assert.equal(create?.correlation_id, line?.correlation_id);
  }
});

test('the failure of a secondary is logged with its call', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  rmSync(cluster.repositoryPath(2, repository.relativePath), { recursive: true });

  await cluster.connection.repository.writeRef(
    { repository, ref: Buffer.from('HEAD'), revision: Buffer.from('refs/heads/other') },
    { correlationId },
  );

  const failed = cluster.log.find(({ msg }) => msg === 'proxying to secondary failed');
  assert.partialDeepStrictEqual(failed, {
    component: 'praefect.StreamServerInterceptor',
    correlation_id: correlationId,
    'grpc.method': 'WriteRef',
    storage: 'gitaly-2',
  });
});

test('the access line of a call that Praefect answers names the repository', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ nodes: 1, database: postgres });
  await cluster.connection.repository.createRepository({ repository });

  await cluster.connection.repository.repositoryExists({ repository }, { correlationId });

  const line = cluster.log.find((each) => each.correlation_id === correlationId);
  assert.partialDeepStrictEqual(line, {
    msg: 'finished streaming call with code OK',
    'grpc.method': 'RepositoryExists',
    'grpc.request.repoStorage': 'default',
    'grpc.request.repoPath': repository.relativePath,
    'grpc.request.glRepository': 'project-1',
    'grpc.request.glProjectPath': 'group/project',
  });
});
