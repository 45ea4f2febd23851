import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { type CopyCall, type CopyNodeOptions, copyNode } from '#testkit/praefect/running-replicator';
import type { ReplicationJob } from '../model/job.ts';
import { copyRepository } from './copy-repository.ts';

const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, virtualStorage: 'default', relativePath: 'x.git' },
  ...{ replicaPath: 'replica/x.git', source: 'a', target: 'b', correlationId: 'id' },
};
const replicaPath = 'replica/x.git';
const from = { storageName: 'a', relativePath: replicaPath };
const to = { storageName: 'b', relativePath: replicaPath };

function start({
  source,
  target,
  signal,
}: {
  source?: CopyNodeOptions;
  target?: CopyNodeOptions;
  signal?: AbortSignal;
} = {}) {
  const calls: CopyCall[] = [];
  const copying = copyRepository(job, {
    ...{ replicaPath, signal },
    source: copyNode('a', { ...source, calls }),
    target: copyNode('b', { ...target, calls }),
  });
  return { calls, copying };
}

for (const { name, token, signal } of [
  { name: 'the address of the source', token: undefined, signal: undefined },
  { name: 'its token and the signal', token: 'secret', signal: new AbortController().signal },
])
  test(`the target is told ${name}`, async () => {
    const { calls, copying } = start({
      source: { token },
      ...(signal && { signal }),
    });

    assert.equal(await copying, 'copied');

    const ending = { correlationId: 'id', ...(signal && { signal }) };
    // The format of Gitaly: base64 of JSON, one object for each storage.
    const servers = { a: { address: 'tcp://a:8075', token: token ?? '' } };
    const metadata = {
      'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64'),
      'x-gitaly-detached-head': 'true',
    };
    assert.deepEqual(calls, [
      ['b', 'replicateRepository', { repository: to, source: from }, { ...ending, metadata }],
      ['a', 'getObjectPool', { repository: from }, ending],
      ['b', 'getObjectPool', { repository: to }, ending],
    ]);
  });

for (const { name, source, target, expected } of [
  { name: 'stays in the pool of its source', source: 'p.git', target: 'p.git', expected: [] },
  { name: 'joins a pool', source: 'p.git', target: undefined, expected: ['linkRepositoryToObjectPool'] },
  { name: 'leaves a pool', source: undefined, target: 'p.git', expected: ['disconnectGitAlternates'] },
  {
    name: 'changes pools',
    source: 'p.git',
    target: 'q.git',
    expected: ['disconnectGitAlternates', 'linkRepositoryToObjectPool'],
  },
])
  test(`a copy that ${name} calls only the target for it`, async () => {
    const { calls, copying } = start({ source: { pool: source }, target: { pool: target } });

    assert.equal(await copying, 'copied');

    const objectPool = { repository: { storageName: 'b', relativePath: 'p.git' } };
    const requests: Readonly<Record<string, object>> = {
      disconnectGitAlternates: { repository: to },
      linkRepositoryToObjectPool: { repository: to, objectPool },
    };
    assert.deepEqual(
      calls.slice(3),
      expected.map((method) => ['b', method, requests[method], { correlationId: 'id' }]),
    );
  });

test('only a source without a repository is invalid', async () => {
  const outcomeOf = (error: Error) =>
    start({ target: { on: { replicateRepository: () => Promise.reject(error) } } }).copying;
  const message = 'invalid source repository';

  assert.equal(await outcomeOf(new GitalyError('NOT_FOUND', message)), 'invalid-source');

  for (const error of [
    new GitalyError('NOT_FOUND', 'storage name not found'),
    new GitalyError('INTERNAL', message),
    new Error(message),
  ])
    await assert.rejects(outcomeOf(error), error);
});

test('a target that may not share objects with the pool keeps its own', async () => {
  const outcomeOf = (error: Error) =>
    start({
      source: { pool: 'p.git' },
      target: { on: { linkRepositoryToObjectPool: () => Promise.reject(error) } },
    }).copying;
  const message = 'linking: repositories are in different partitions';

  assert.equal(await outcomeOf(new GitalyError('INTERNAL', message)), 'copied');

  for (const error of [new GitalyError('INTERNAL', 'no such pool'), new Error(message)])
    await assert.rejects(outcomeOf(error), error);
});

test('a copy whose old pool cannot be left fails', async () => {
  const error = new GitalyError('INTERNAL', 'no space');
  const { calls, copying } = start({
    source: { pool: 'p.git' },
    target: { pool: 'q.git', on: { disconnectGitAlternates: () => Promise.reject(error) } },
  });
  await assert.rejects(copying, error);
  assert.ok(!calls.some(([, method]) => method === 'linkRepositoryToObjectPool'));
});
