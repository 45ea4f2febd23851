import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { Metadata } from '#rpc/common/metadata';
import type { Peer } from '#rpc/server/handler';
import { until } from '#testkit/until';
import type { CheckObjectsExistRequest } from '#wire/gen/commit_pb';
import { repository } from './cluster-repository.ts';
import { startClusterOf } from './start-node.ts';

const request = { repository, revision: Buffer.from('main') };

test('reads use a plain connection once it is open, unless they have a sidechannel', async () => {
  const backchannels: (number | undefined)[] = [];
  await using cluster = await startClusterOf({
    findCommit: (_, { peer }) => {
      backchannels.push(peer.backchannelId);
      return {};
    },
  });
  const { commit } = cluster.connection;

  await until(async () => {
    await commit.findCommit(request);
    return backchannels.at(-1) === undefined;
  });
  await commit.findCommit(request, { metadata: { 'gitaly-sidechannel-id': '7' } });

  assert.notEqual(backchannels.at(-1), undefined);
});

test('many reads at once use several plain connections to the node, a few use one', async () => {
  const peers: Peer[] = [];
  const gate = Promise.withResolvers<void>();
  let isHolding = false;
  await using cluster = await startClusterOf({
    findCommit: async (_, { peer }) => {
      if (peer.backchannelId === undefined) peers.push(peer);
      if (isHolding) await gate.promise;
      return {};
    },
  });
  const { commit } = cluster.connection;
  await until(async () => {
    await commit.findCommit(request);
    return peers.length >= 40;
  });
  assert.equal(new Set(peers).size, 1);

  isHolding = true;
  const reads: Promise<unknown>[] = [];
  await until(() => {
    for (let read = 0; read < 4; read++) reads.push(commit.findCommit(request));
    return new Set(peers).size === 2;
  });

  gate.resolve();
  await Promise.all(reads);
});

test('a client that leaves ends its read on the node', async () => {
  const ends: unknown[] = [];
  const leaving = new AbortController();
  await using cluster = await startClusterOf({
    findCommit: (_, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          ends.push(signal.reason);
          resolve({});
        });
        leaving.abort();
      }),
  });

  await assert.rejects(cluster.connection.commit.findCommit(request, { signal: leaving.signal }), {
    code: 'CANCELLED',
  });

  await until(() => ends.length > 0);
  await until(() => cluster.log.some(({ msg }) => msg === 'finished streaming call with code Canceled'));
});

test('a read ends at its deadline, on the node too', async () => {
  const ends: unknown[] = [];
  await using cluster = await startClusterOf({
    findCommit: (_, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          ends.push(signal.reason);
          resolve({});
        });
      }),
  });

  await assert.rejects(cluster.connection.commit.findCommit(request, { timeoutMs: 500 }), {
    code: 'DEADLINE_EXCEEDED',
  });

  await until(() => ends.length > 0);
});

test('a read of many messages passes each of them on when it arrives', async () => {
  await using cluster = await startClusterOf({
    checkObjectsExist: async function* (requests) {
      for await (const { repository: named, revisions } of requests)
        yield {
          revisions: revisions.map((name) => ({ name, exists: named?.storageName === 'gitaly-1' })),
        };
    },
  });
  const answered = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository, revisions: [Buffer.from('first')] };
    await answered.promise;
    yield { revisions: [Buffer.from('second')] } satisfies Partial<CheckObjectsExistRequest>;
  }
  const results: [string, boolean][] = [];

  for await (const { revisions } of cluster.connection.commit.checkObjectsExist(requests())) {
    answered.resolve();
    for (const { exists, name } of revisions) results.push([Buffer.from(name).toString(), exists]);
  }

  assert.deepEqual(results, [
    ['first', true],
    ['second', false],
  ]);
});

test('a read whose node goes before it has responded is repeated', async () => {
  let calls = 0;
  await using cluster = await startClusterOf({
    findCommit: (_, { responseHeaders }) => {
      calls++;
      responseHeaders.append('x-attempt', `${calls}`);
      if (calls === 1) throw new GitalyError('UNAVAILABLE', 'server is shutting down');
      return {};
    },
  });

  let headers: Metadata | undefined;
  await cluster.connection.commit.findCommit(request, {
    onHeaders: (received) => {
      headers = received;
    },
  });

  assert.equal(calls, 2);
  assert.deepEqual(headers?.getAll('x-attempt'), ['2']);
});

test('a read of a stream is repeated until the first response, and not after it', async () => {
  const ends = [true, true, false];
  const calls: number[] = [];
  await using cluster = await startClusterOf({
    listCommits: async function* () {
      calls.push(1);
      if (ends.shift()) throw new GitalyError('UNAVAILABLE', 'server is shutting down');
      yield {};
      throw new GitalyError('UNAVAILABLE', 'server is shutting down');
    },
  });
  const listed = cluster.connection.commit.listCommits({ repository, revisions: ['main'] });

  await assert.rejects(Array.fromAsync(listed), { code: 'UNAVAILABLE' });
  assert.equal(calls.length, 3);
});
