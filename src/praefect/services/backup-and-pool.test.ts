import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { type NotedCalls, notingNode, startHandlers } from '#testkit/praefect/handlers';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { RepositoryService } from '#wire/gen/repository_pb';

const { backupRepository } = RepositoryService.method;
const { getObjectPool } = ObjectPoolService.method;
const POOL = `@pools/ab/cd/abcd${'0'.repeat(60)}.git`;
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const key = { virtualStorage: 'default', relativePath: 'a.git' };

const failing = (error: Error) => async () => {
  throw error;
};
const invalid = (message: string) => ({ code: 'INVALID_ARGUMENT', message });
const onDisk = (storageName: string) => ({ storageName, relativePath: '@cluster/a' });

test('a backup is made by a node with the repository, by any if there is none', async () => {
  const calls: NotedCalls = [];
  let fails: Error | undefined;
  const router = {
    accessor: async (...args: unknown[]) => {
      calls.push(['route', ...args]);
      if (fails !== undefined) throw fails;
      return { node: notingNode('two', calls), replicaPath: '@cluster/a' };
    },
    storageAccessor: async (name: string) => notingNode(`any of ${name}`, calls),
  };
  const { call } = startHandlers({ router }, calls);
  const request = { repository, vanityRepository: repository, backupId: '7' };

  await call(backupRepository, request);

  assert.deepEqual(calls[0], ['route', key, { onPrimary: false }]);
  const backedUp = { ...repository, ...onDisk('two') };
  assert.partialDeepStrictEqual(calls[1], [
    'two',
    'backupRepository',
    { ...request, repository: backedUp },
    'id',
  ]);
  fails = new GitalyError('NOT_FOUND', 'repository not found');
  await call(backupRepository, request);
  const unchanged = { ...repository, storageName: 'any of default' };
  assert.partialDeepStrictEqual(calls[3], [
    'any of default',
    'backupRepository',
    { ...request, repository: unchanged },
  ]);
  fails = new GitalyError('UNAVAILABLE', 'no healthy nodes');
  await assert.rejects(call(backupRepository, request), { code: 'UNAVAILABLE', message: 'no healthy nodes' });
  await assert.rejects(call(backupRepository, {}), invalid('repository not set'));
});

// Born failing: a node that had lost the repository reported that there was nothing to back up.
test('a backup is made by another node if the first has lost the repository', async () => {
  const calls: NotedCalls = [];
  const error = new GitalyError('NOT_FOUND', 'repository not found');
  const lost = { storage: 'one', connection: { repository: { backupRepository: failing(error) } } };
  const nodes: unknown[] = [lost, notingNode('two', calls)];
  const router = { accessor: async () => ({ node: nodes.shift(), replicaPath: '@cluster/a' }) };
  const found: unknown[] = [];
  const findLost = async (failed: unknown) => found.push(failed) > 0;

  await startHandlers({ router, findLost }, calls).call(backupRepository, { repository, backupId: '7' });

  assert.deepEqual(found, [{ node: lost, repository: key, error, correlationId: 'id' }]);
  assert.equal(calls.length, 1);
  assert.partialDeepStrictEqual(calls[0], ['two', 'backupRepository']);
});

/** Starts handlers on a node that returns the pool of a repository. */
function startWithPool(response: unknown, relativePathOf: (id: number) => Promise<string | undefined>) {
  const getObjectPool = async (request: object, { correlationId }: { correlationId: string }) => {
    assert.deepEqual([request, correlationId], [{ repository: onDisk('two') }, 'id']);
    if (response instanceof Error) throw response;
    return response;
  };
  const node = { storage: 'two', connection: { objectPool: { getObjectPool } } };
  return startHandlers({
    router: {
      accessor: async (...args: unknown[]) => {
        assert.deepEqual(args, [key, { onPrimary: false }]);
        return { node, replicaPath: '@cluster/a' };
      },
    },
    lookups: { relativePathOf },
  });
}

const poolAt = (relativePath: string) => ({
  objectPool: { repository: { storageName: 'two', relativePath } },
});

test('the pool of a repository has the names that clients know', async () => {
  const pathOf = async (id: number) => (id === 77 ? POOL : undefined);
  const poolOf = async (response: unknown) => {
    const [found] = await startWithPool(response, pathOf).call(getObjectPool, { repository });
    const { relativePath, storageName } = found?.objectPool?.repository ?? {};
    return [storageName, relativePath];
  };

  assert.deepEqual(await poolOf(poolAt('@cluster/pools/aa/bb/77')), ['default', POOL]);
  assert.deepEqual(await poolOf(poolAt('@pools/old.git')), ['default', '@pools/old.git']);
  assert.deepEqual(await poolOf({}), [undefined, undefined]);
  await assert.rejects(poolOf(poolAt('@cluster/pools/aa/bb/78')), {
    message: 'get Praefect repository metadata: repository not found',
  });
});

test('a pool that cannot be read is reported with the place of the failure', async () => {
  const get = async (options: Parameters<typeof startHandlers>[0]) =>
    await startHandlers(options).call(getObjectPool, { repository });
  const routed = (error: Error) => ({ router: { accessor: failing(error) } });

  await assert.rejects(get(routed(new GitalyError('NOT_FOUND', 'repository not found'))), {
    code: 'NOT_FOUND',
    message: 'route RPC: consistent storages: repository not found',
  });
  await assert.rejects(get(routed(new GitalyError('INVALID_ARGUMENT', 'virtual storage does not exist'))), {
    code: 'INVALID_ARGUMENT',
    message: 'route RPC: virtual storage does not exist',
  });
  const broken = startWithPool(new GitalyError('UNAVAILABLE', 'down'), async () => undefined);
  await assert.rejects(broken.call(getObjectPool, { repository }), {
    code: 'UNAVAILABLE',
    message: 'get object pool: rpc error: code = Unavailable desc = down',
  });
  const { call } = startHandlers();
  for (const named of [undefined, { relativePath: 'a' }, { storageName: 'a' }])
    await assert.rejects(
      call(getObjectPool, named ? { repository: named } : {}),
      invalid('repository not set'),
    );
});

test('the repositories of a virtual storage are those of the database', async () => {
  async function* relativePaths(name: string) {
    yield [`${name}/a`, `${name}/b`];
    yield [`${name}/c`];
  }
  const { call } = startHandlers({ lookups: { relativePaths } });

  const found = await call(InternalGitaly.method.walkRepos, { storageName: 'default' });

  assert.deepEqual(
    found.map(({ relativePath }) => relativePath),
    ['default/a', 'default/b', 'default/c'],
  );
  await assert.rejects(call(InternalGitaly.method.walkRepos, {}), invalid('storage name not set'));
});
