import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { commit, NODES, repository } from './cluster-repository.ts';

/** Each node has the hook; the primary runs it. */
function addHook(cluster: TestCluster, name: string): void {
  for (const node of NODES) {
    const directory = join(cluster.repositoryPath(node, repository.relativePath), 'custom_hooks');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), '#!/bin/sh\nexit 1\n');
    chmodSync(join(directory, name), 0o755);
  }
}

const tipsOf = (cluster: TestCluster): string[] =>
  NODES.map((node) =>
    gitOutput(cluster.repositoryPath(node, repository.relativePath), [
      'for-each-ref',
      '--format=%(objectname)',
    ]),
  );

// Born failing: UNAVAILABLE, `the write is on 1 of 3 nodes`, for each write whose post-receive hook
// failed. A single server ignores that.
test('a post-receive hook that fails does not fail the write', async () => {
  await using cluster = await startCluster();
  await cluster.connection.repository.createRepository({ repository });
  await commit(cluster, 'first');
  addHook(cluster, 'post-receive');

  const id = await commit(cluster, 'second');

  await until(() => tipsOf(cluster).every((tip) => tip === id), 'all nodes have it');
});

test('a push that a hook refuses is refused, and nothing else', async () => {
  await using cluster = await startCluster();
  await using gateway = await startHttpGateway({
    gitaly: { address: cluster.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  await cluster.connection.repository.createRepository({ repository });
  const before = await commit(cluster, 'first');
  addHook(cluster, 'pre-receive');
  const directory = makeScratchDirectory('push');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  initRepository(directory, { commits: 1 });

  const url = `${gateway.url}/${repository.relativePath}`;
  const { code, stderr } = await run('git', ['-C', directory, 'push', url, 'HEAD:refs/heads/new'], {
    env: GIT_ENVIRONMENT,
  });

  assert.equal(code, 1, stderr);
  assert.match(stderr, /\[remote rejected\] HEAD -> new \(pre-receive hook declined\)/);
  assert.doesNotMatch(stderr, /The Git server failed/);
  assert.ok(!cluster.log.some(({ 'grpc.code': status }) => status === 'Unavailable'));
  assert.deepEqual(tipsOf(cluster), [before, before, before]);
});
