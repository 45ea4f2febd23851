import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CallError, commitFiles } from '#client/index';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { gitOutput, initRepository, referenceBackends } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startTimeServer } from '#testkit/servers/time-server';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { commit, NODES, repository } from './cluster-repository.ts';

const pathOn = (cluster: TestCluster, node: number): string =>
  cluster.repositoryPath(node, repository.relativePath);
const references = (cluster: TestCluster, node: number): string =>
  gitOutput(pathOn(cluster, node), ['for-each-ref']);

test('a write reaches all nodes, by their votes', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  for (const node of NODES) assert.ok(existsSync(pathOn(cluster, node)), `node ${node} has it`);

  const id = await commit(cluster, 'first');

  for (const node of NODES)
    assert.equal(gitOutput(pathOn(cluster, node), ['rev-parse', 'refs/heads/main']), id);
  const completed = cluster.log.filter(({ msg }) => msg === 'transaction completed');
  assert.equal(completed.at(-1)?.['transaction.committed'], '3/3');
  const { commit: found } = await cluster.connection.commit.findCommit({
    repository,
    revision: Buffer.from('main'),
  });
  assert.equal(found?.id, id);
});

// Born failing: each node used its own clock. If a call passed the end of a second, the commits of
// nodes differed, and those that lost the vote were outdated.
test('a commit whose client sets no time is the same on all nodes', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  cluster.nodes[1]?.faults.add('UserCommitFiles', { delayMs: 1100 });
  const person = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };

  const update = await commitFiles(
    cluster.connection,
    { repository, user: person, branchName: Buffer.from('main'), commitMessage: Buffer.from('open') },
    [{ type: 'create', path: 'a', content: 'a' }],
  );

  for (const node of NODES)
    assert.equal(gitOutput(pathOn(cluster, node), ['rev-parse', 'refs/heads/main']), update?.commitId);
  const completed = cluster.log.filter(({ msg }) => msg === 'transaction completed');
  assert.equal(completed.at(-1)?.['transaction.committed'], '3/3');
});

// Born failing: no node of a cluster with reftables could take a copy of a repository with files.
for (const format of referenceBackends())
  test(`a cluster whose new repositories are ${format} takes a copy of one with files`, async () => {
    await using far = await startGitaly({ storages: ['far'] });
    const source = { ...repository, storageName: 'far' };
    const path = join(far.storagePath('far'), source.relativePath);
    initRepository(path, { commits: 2 });
    await using cluster = await startCluster({
      nodes: 2,
      gitalyConfig: { git: { default_ref_format: format } },
    });
    const servers = JSON.stringify({ far: { address: far.address, token: '' } });
    const metadata = { 'gitaly-servers': Buffer.from(servers).toString('base64') };

    await cluster.connection.repository.replicateRepository({ repository, source }, { metadata });

    for (const node of [1, 2]) assert.equal(references(cluster, node), gitOutput(path, ['for-each-ref']));
    const completed = cluster.log.filter(({ msg }) => msg === 'transaction completed');
    assert.equal(completed.at(-1)?.['transaction.committed'], '2/2');
  });

test('a repository is renamed on all nodes', async () => {
  await using cluster = await startCluster();
  const calls = cluster.connection.repository;
  const renamed = { ...repository, relativePath: '@hashed/cc/dd/ccdd.git' };
  await calls.createRepository({ repository });
  const id = await commit(cluster, 'first');

  await calls.renameRepository({ repository, relativePath: renamed.relativePath });

  assert.equal((await calls.repositoryExists({ repository })).exists, false);
  assert.equal((await calls.repositoryExists({ repository: renamed })).exists, true);
  for (const node of NODES) {
    const path = cluster.repositoryPath(node, renamed.relativePath);
    assert.equal(gitOutput(path, ['rev-parse', 'refs/heads/main']), id);
    assert.ok(!existsSync(pathOn(cluster, node)));
  }
  const queued = cluster.log.filter(({ msg }) => msg === 'queueing replication jobs');
  assert.deepEqual(queued.at(-1)?.['replication.outdated'] ?? [], [], 'nothing is left to copy');
});

test('errors of the nodes pass with code, message and details', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  await assert.rejects(cluster.connection.repository.createRepository({ repository }), {
    code: 'ALREADY_EXISTS',
    message: 'creating repository: repository exists already',
  });
  const missing = { ...repository, relativePath: '@hashed/cc/dd/ccdd.git' };
  await assert.rejects(
    cluster.connection.commit.findCommit({ repository: missing, revision: Buffer.from('main') }),
    { code: 'NOT_FOUND' },
  );
  for (const [target, message] of [
    [undefined, 'repository not set'],
    [{ storageName: '', relativePath: 'x' }, 'storage name not set'],
    [{ storageName: 'default', relativePath: '' }, 'repository path not set'],
    [{ storageName: 'other', relativePath: 'x' }, 'storage name not found'],
  ] as const) {
    await assert.rejects(
      cluster.connection.commit.findCommit({
        ...(target && { repository: target }),
        revision: Buffer.from('main'),
      }),
      { code: 'INVALID_ARGUMENT', message },
    );
  }
});

// Rails adds up what calls cost, also of those that fail.
test('trailers of the node reach the client with an error, too', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });

  await assert.rejects(cluster.connection.commit.findCommit({ repository }), (error) => {
    assert.ok(error instanceof CallError);
    assert.equal(error.message, 'empty revision');
    assert.equal(error.trailers.get('x-gitaly-cost'), '2');
    return true;
  });
});

test('when the primary is gone the next node takes the writes', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');

  await cluster.stopNode(1);
  await until(() => cluster.log.some(({ msg }) => msg === 'primary node changed'));
  const id = await commit(cluster, 'second');

  for (const node of [2, 3])
    assert.equal(gitOutput(pathOn(cluster, node), ['rev-parse', 'refs/heads/main']), id);
});

test('a node that disagrees is outvoted and gets a copy', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  // Another old value on this node makes its vote another one.
  gitOutput(pathOn(cluster, 3), ['update-ref', '-d', 'refs/heads/main']);

  const id = await commit(cluster, 'second');

  assert.equal(gitOutput(pathOn(cluster, 1), ['rev-parse', 'refs/heads/main']), id);
  await until(() => references(cluster, 3) === references(cluster, 1));
});

for (const protocol of ['0', '2']) {
  test(`git pushes and fetches through the cluster, protocol v${protocol}`, async () => {
    await using cluster = await startCluster();
    await using gateway = await startHttpGateway({
      gitaly: { address: cluster.address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      createOnPush: {},
    });
    const directory = makeScratchDirectory('cluster-git');
    const work = join(directory, 'work');
    initRepository(join(directory, 'origin.git'), { commits: 30 });
    await runGit(['clone', '-q', join(directory, 'origin.git'), work]);
    const url = `${gateway.url}/team/project.git`;
    const git = (...args: string[]): Promise<string> =>
      runGit(['-c', `protocol.version=${protocol}`, ...args]);

    await git('-C', work, 'push', '-q', url, 'main');
    await git('clone', '-q', '--mirror', url, join(directory, 'copy'));

    const id = await runGit(['-C', work, 'rev-parse', 'main']);
    assert.equal(await runGit(['-C', join(directory, 'copy'), 'rev-parse', 'main']), id);
    for (const node of NODES)
      assert.equal(gitOutput(cluster.repositoryPath(node, 'team/project.git'), ['rev-parse', 'main']), id);
    rmSync(directory, { recursive: true });
  });
}

test('the storage of a cluster looks like that of one Gitaly', async () => {
  await using cluster = await startCluster();
  const { storageStatuses } = await cluster.connection.server.serverInfo({});
  assert.deepEqual(
    storageStatuses.map(({ storageName, replicationFactor, readable, writeable }) => ({
      storageName,
      replicationFactor,
      readable,
      writeable,
    })),
    [{ storageName: 'default', replicationFactor: 3, readable: true, writeable: true }],
  );
  await assert.rejects(cluster.connection.praefectInfo.repositoryReplicas({ repository }), {
    code: 'UNIMPLEMENTED',
  });
  await cluster.stopNode(1);
  await until(() => cluster.log.some(({ msg }) => msg === 'primary node changed'));
  const again = await cluster.connection.server.serverInfo({});
  assert.deepEqual(again.storageStatuses, storageStatuses, 'another node responds');
  await assert.rejects(cluster.connection.server.diskStatistics({}), {
    code: 'INTERNAL',
    message: 'error when requesting disk statistics from internal storage gitaly-1',
  });
  await assert.rejects(cluster.connection.server.serverSignature({}), {
    code: 'UNAVAILABLE',
    message: /^request signature from Praefect storage "gitaly-1": rpc error: code = Unavailable desc = ./,
  });
});

test('the clock of Praefect is compared with a time server, for clients of 15.0', async () => {
  await using cluster = await startCluster({ nodes: 1 });
  await using clock = await startTimeServer(60_000);
  const isSynced = async (driftThresholdMillis: bigint): Promise<boolean> =>
    (await cluster.connection.server.clockSynced({ ntpHost: clock.address, driftThresholdMillis })).synced;
  assert.deepEqual([await isSynced(120_000n), await isSynced(10_000n)], [true, false]);
});
