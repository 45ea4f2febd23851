import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type NotedCalls, notingNode, startHandlers } from '#testkit/praefect/handlers';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { RepositoryService } from '#wire/gen/repository_pb';

const { removeRepository, repositoryExists, renameRepository, removeAll } = RepositoryService.method;
const { deleteObjectPool } = ObjectPoolService.method;
const POOL = `@pools/ab/cd/abcd${'0'.repeat(60)}.git`;
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const key = { virtualStorage: 'default', relativePath: 'a.git' };

const failing = (error: Error) => async () => {
  throw error;
};
const invalid = (message: string) => ({ code: 'INVALID_ARGUMENT', message });
const onDisk = (storageName: string) => ({ storageName, relativePath: '@cluster/a' });
const noted = (calls: NotedCalls) => calls.map((each) => JSON.parse(JSON.stringify(each)) as unknown);

test('a repository is removed from the database, then from the nodes that had it', async () => {
  const { call, calls, facts } = startHandlers();

  assert.equal((await call(removeRepository, { repository })).length, 1);

  assert.deepEqual(calls.slice(0, 2), [
    ['removed', key],
    ['changed', key],
  ]);
  const request = (storage: string) => ({ repository: { ...repository, ...onDisk(storage) } });
  assert.partialDeepStrictEqual(calls.slice(2), [
    ['one', 'removeRepository', request('one'), 'id'],
    ['three', 'removeRepository', request('three'), 'id'],
  ]);
  assert.equal(calls.length, 4);
  assert.equal(facts['grpc.request.repoStorage'], 'default');
});

test('a node that cannot remove a repository is logged, and does not fail the call', async () => {
  const calls: NotedCalls = [];
  const nodes = new Map([
    ['default', [notingNode('one', calls, new Error('busy')), notingNode('three', calls)]],
  ]);
  const { call, log } = startHandlers({ nodes }, calls);

  await call(removeRepository, { repository });

  assert.equal(calls.length, 4);
  assert.equal(log.length, 1);
  assert.partialDeepStrictEqual(log[0], {
    level: 'error',
    msg: 'failed deleting repository',
    error: 'busy',
    virtual_storage: 'default',
    relative_path: 'a.git',
    storage: 'one',
  });
});

test('a repository that is not in the database cannot be removed', async () => {
  const { call, calls } = startHandlers({ removals: { remove: async () => undefined } });

  await assert.rejects(call(removeRepository, { repository }), {
    code: 'NOT_FOUND',
    message: 'repository does not exist',
  });
  await assert.rejects(call(removeRepository, {}), invalid('repository not set'));
  const failed = startHandlers({ removals: { remove: failing(new Error('gone')) } });
  await assert.rejects(failed.call(removeRepository, { repository }), { message: 'delete repository: gone' });
  assert.deepEqual([...calls, ...failed.calls], []);
});

test('an object pool is removed like a repository, but need not exist', async () => {
  const { call, calls } = startHandlers();
  const pool = { storageName: 'default', relativePath: POOL };

  await call(deleteObjectPool, { objectPool: { repository: pool } });

  assert.deepEqual(calls[0], ['removed', { virtualStorage: 'default', relativePath: POOL }]);
  assert.partialDeepStrictEqual(calls[2], [
    'one',
    'deleteObjectPool',
    { objectPool: { repository: onDisk('one') } },
    'id',
  ]);
  const unknown = startHandlers({ removals: { remove: async () => undefined } });
  assert.equal((await unknown.call(deleteObjectPool, { objectPool: { repository: pool } })).length, 1);
  assert.deepEqual(unknown.calls, []);
  await assert.rejects(call(deleteObjectPool, {}), invalid('no object pool repository'));
  await assert.rejects(
    call(deleteObjectPool, { objectPool: { repository } }),
    invalid('invalid object pool directory'),
  );
});

test('the database knows whether a repository exists', async () => {
  const asked: unknown[] = [];
  const exists = async (repository: unknown) => asked.push(repository) === 1;
  const { call } = startHandlers({ lookups: { exists } });

  assert.equal((await call(repositoryExists, { repository }))[0]?.exists, true);
  assert.equal((await call(repositoryExists, { repository }))[0]?.exists, false);
  assert.deepEqual(asked[0], key);
  await assert.rejects(call(repositoryExists, {}), invalid('repository not set'));
  await assert.rejects(
    call(repositoryExists, { repository: { relativePath: 'a' } }),
    invalid('storage name not set'),
  );
  await assert.rejects(
    call(repositoryExists, { repository: { storageName: 'a' } }),
    invalid('repository path not set'),
  );
  const failed = startHandlers({ lookups: { exists: failing(new Error('gone')) } });
  await assert.rejects(failed.call(repositoryExists, { repository }), { message: 'repository exists: gone' });
});

test('a rename changes the database alone, and both paths are forgotten', async () => {
  const calls: NotedCalls = [];
  const rename = async (...args: unknown[]) => {
    await turn();
    calls.push(['renamed', ...args]);
  };
  const { call } = startHandlers({ removals: { rename } }, calls);

  assert.equal((await call(renameRepository, { repository, relativePath: 'b.git' })).length, 1);

  assert.deepEqual(calls, [
    ['renamed', key, 'b.git'],
    ['changed', key],
    ['changed', { ...key, relativePath: 'b.git' }],
  ]);
  await assert.rejects(call(renameRepository, { relativePath: 'b.git' }), invalid('repository not set'));
  await assert.rejects(call(renameRepository, { repository }), invalid('destination relative path is empty'));
});

test('all repositories of a virtual storage are removed, from the database first', async () => {
  const calls: NotedCalls = [];
  const removeRecords = async (name: string) => {
    await turn();
    calls.push(['removed', name]);
  };
  const { call } = startHandlers({ removals: { removeAll: removeRecords } }, calls);

  assert.equal((await call(removeAll, { storageName: 'default' })).length, 1);

  assert.deepEqual(noted(calls), [
    ['removed', 'default'],
    ...['one', 'two', 'three'].map((storage) => [storage, 'removeAll', { storageName: storage }, 'id']),
  ]);
  await assert.rejects(call(removeAll, {}), invalid('storage name not set'));
  await assert.rejects(call(removeAll, { storageName: 'x' }), invalid('virtual storage does not exist'));
  const busy = startHandlers({
    nodes: new Map([['default', [notingNode('one', [], new Error('busy'))]]]),
    removals: { removeAll: async () => {} },
  });
  await assert.rejects(busy.call(removeAll, { storageName: 'default' }), { message: 'busy' });
});

test('a call without a message, or with one that cannot be decoded, fails', async () => {
  const { callRaw } = startHandlers();

  await assert.rejects(callRaw(removeRepository), { code: 'INTERNAL', message: 'EOF' });
  await assert.rejects(callRaw(removeRepository, Buffer.of(0x0a, 0xff)), { code: 'INTERNAL' });
});
