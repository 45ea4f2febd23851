import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { ReplicaCache } from './replica-cache.ts';
import type { ConsistentReplicas } from './repository-lookups.ts';

const REPLICAS: ConsistentReplicas = { replicaPath: '@cluster/x', storages: new Set(['a', 'b']) };
const repository = (relativePath: string, virtualStorage = 'default') => ({ virtualStorage, relativePath });

/** A cache of lookups that end on request. The cases are those of Gitaly 19.0. */
function cacheOf({ maxEntries = 100, isConnected = true } = {}) {
  const accesses: string[] = [];
  const { lines: log, logger } = lineLogger();
  const lookups: PromiseWithResolvers<ConsistentReplicas | undefined>[] = [];
  const cache = new ReplicaCache({
    lookups: {
      consistentReplicas: () => {
        const lookup = Promise.withResolvers<ConsistentReplicas | undefined>();
        lookups.push(lookup);
        return lookup.promise;
      },
    },
    virtualStorages: ['default', 'other'],
    maxEntries,
    logger,
    count: (virtualStorage, access, number = 1) => accesses.push(`${virtualStorage} ${access} ${number}`),
  });
  if (isConnected) cache.connected();
  return {
    cache,
    log,
    lookups,
    /** Returns what was counted since the last call. */
    counted: () => accesses.splice(0),
    /** Reads a repository, whose lookup succeeds if there is one. */
    read: async (relativePath: string, virtualStorage?: string): Promise<void> => {
      const reading = cache.get(repository(relativePath, virtualStorage));
      lookups.shift()?.resolve(REPLICAS);
      assert.deepEqual(await reading, REPLICAS);
    },
  };
}

test('a repository is looked up once, until it changes', async () => {
  const { cache, counted, log, read } = cacheOf();
  await read('x');
  assert.deepEqual(counted(), ['default miss 1', 'default populate 1']);
  await read('x');
  await read('y');
  assert.deepEqual(counted(), ['default hit 1', 'default miss 1', 'default populate 1']);

  cache.notified(
    'changes',
    JSON.stringify([
      { virtual_storage: 'bad', relative_paths: ['y'] },
      { virtual_storage: 'default', relative_paths: ['x', 'unknown'] },
    ]),
  );

  assert.deepEqual(counted(), ['default evict 1']);
  await read('x');
  await read('y');
  assert.deepEqual(counted(), ['default miss 1', 'default populate 1', 'default hit 1']);
  const [{ error, msg, virtual_storage: name } = {}] = log;
  assert.deepEqual([msg, name, error], ['cache not found', 'bad', 'virtual storage does not exist']);
});

test('what is not there, or cannot be looked up, is not kept', async () => {
  const { cache, counted, lookups, read } = cacheOf();
  const missing = cache.get(repository('x'));
  lookups.shift()?.resolve(undefined);
  assert.equal(await missing, undefined);
  const failed = cache.get(repository('x'));
  lookups.shift()?.reject(new Error('down'));
  await assert.rejects(failed, { message: 'down' });
  await read('x', 'unknown');
  await read('x', 'unknown');
  assert.deepEqual(counted(), ['default miss 1', 'default miss 1', 'unknown miss 1', 'unknown miss 1']);
});

test('calls at the same time share a lookup, and all but the first are hits', async () => {
  const { cache, counted, lookups } = cacheOf();
  const reads = [1, 2, 3].map(() => cache.get(repository('x')));
  const elsewhere = cache.get(repository('x', 'other'));
  assert.equal(lookups.length, 2);
  for (const lookup of lookups) lookup.resolve(REPLICAS);
  assert.deepEqual(await Promise.all([...reads, elsewhere]), [REPLICAS, REPLICAS, REPLICAS, REPLICAS]);
  assert.deepEqual(counted().toSorted(), [
    'default hit 1',
    'default hit 1',
    'default miss 1',
    'default populate 1',
    'other miss 1',
    'other populate 1',
  ]);
});

test('a lookup from before a change is not kept', async () => {
  const { cache, counted, lookups, read } = cacheOf();
  const old = cache.get(repository('x'));
  cache.notified('changes', JSON.stringify([{ virtual_storage: 'default', relative_paths: ['x'] }]));
  lookups.shift()?.resolve(REPLICAS);
  assert.deepEqual(await old, REPLICAS);
  assert.deepEqual(counted(), ['default miss 1']);
  await read('x');
  assert.deepEqual(counted(), ['default miss 1', 'default populate 1']);
});

test('without notifications nothing is kept', async () => {
  const { cache, counted, log, read } = cacheOf();
  for (const path of ['x', 'y']) await read(path);
  counted();

  cache.notified('changes', '_');

  assert.deepEqual(counted(), ['default evict 2']);
  const [{ channel, level, msg } = {}] = log;
  assert.deepEqual(
    [level, msg, channel],
    ['error', "received payload can't be processed, cache disabled", 'changes'],
  );
  await read('x');
  await read('x');
  assert.deepEqual(counted(), ['default miss 1', 'default miss 1']);
  cache.connected();
  await read('x');
  cache.disconnected();
  assert.deepEqual(counted(), ['default miss 1', 'default populate 1', 'default evict 1']);
});

test('before the first notifications nothing is kept', async () => {
  const { counted, read } = cacheOf({ isConnected: false });

  for (const path of ['x', 'x']) await read(path);

  assert.deepEqual(counted(), ['default miss 1', 'default miss 1']);
});

test('a full cache forgets the repository that was not read for longest', async () => {
  const { counted, read } = cacheOf({ maxEntries: 2 });
  for (const path of ['x', 'y', 'x']) await read(path);
  counted();
  await read('z');
  assert.deepEqual(counted(), ['default miss 1', 'default populate 1', 'default evict 1']);
  await read('x');
  await read('y');
  assert.deepEqual(counted(), ['default hit 1', 'default miss 1', 'default populate 1', 'default evict 1']);
});
