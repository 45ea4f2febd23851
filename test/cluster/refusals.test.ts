import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';

type Call = (connection: TestCluster['connection']) => PromiseLike<unknown>;

const INVALID = 'INVALID_ARGUMENT';
const at = (storageName: string, relativePath: string) => ({ repository: { storageName, relativePath } });
const poolAt = (storageName: string, relativePath: string) => ({ objectPool: at(storageName, relativePath) });

/** Requests that Praefect itself answers, with the status of Gitaly's. */
const REFUSED: readonly (readonly [name: string, call: Call, code: string, message: string])[] = [
  ...(['repositoryExists', 'renameRepository'] as const).flatMap((name) => {
    const call = (request: object): Call => {
      return ({ repository }) => repository[name]({ relativePath: 'new.git', ...request });
    };
    return [
      [`${name} of nothing`, call({}), INVALID, 'repository not set'],
      [`${name} without a storage`, call(at('', 'x.git')), INVALID, 'storage name not set'],
      [`${name} without a path`, call(at('default', '')), INVALID, 'repository path not set'],
    ] as const;
  }),
  ['removal of nothing', ({ repository }) => repository.removeRepository({}), INVALID, 'repository not set'],
  [
    'removal of a repository that is not there',
    ({ repository }) => repository.removeRepository(at('default', 'x.git')),
    'NOT_FOUND',
    'repository does not exist',
  ],
  [
    'deletion of no pool',
    ({ objectPool }) => objectPool.deleteObjectPool({}),
    INVALID,
    'no object pool repository',
  ],
  [
    'deletion of a pool at a path of a repository',
    ({ objectPool }) => objectPool.deleteObjectPool(poolAt('default', '@hashed/aa/bb/x.git')),
    INVALID,
    'invalid object pool directory',
  ],
  ...[{}, at('', 'x.git'), at('default', '')].map(
    (request) =>
      [
        `pool of ${JSON.stringify(request)}`,
        ({ objectPool }) => objectPool.getObjectPool(request),
        INVALID,
        'repository not set',
      ] as const satisfies readonly [string, Call, string, string],
  ),
  [
    'pool of an unknown virtual storage',
    ({ objectPool }) => objectPool.getObjectPool(at('other', 'x.git')),
    INVALID,
    'route RPC: virtual storage does not exist',
  ],
];

test('requests that praefect answers itself are refused as by Gitaly', { skip }, async (t) => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres });
  for (const [name, call, code, message] of REFUSED)
    await t.test(name, async () => {
      await assert.rejects(Promise.resolve(call(cluster.connection)), { code, message });
    });
});
