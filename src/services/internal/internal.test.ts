import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { initRepository, initServed } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const storageName = 'default';

async function walked({ connection }: TestGitaly): Promise<string[]> {
  const found = await Array.fromAsync(connection.internal.walkRepos({ storageName }));
  return found.map(({ relativePath }) => relativePath);
}

/** Makes a repository that borrows its objects from another one. */
function addMember(gitaly: TestGitaly, name: string, pool: string): void {
  const path = initServed(gitaly, name);
  writeFileSync(join(path, 'objects/info/alternates'), `../../${pool}/objects\n`);
}

async function startWithStore(context: TestContext): Promise<{ gitaly: TestGitaly; file: string }> {
  const directory = makeScratchDirectory('pool-metadata');
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'pools.db');
  return { gitaly: await startGitaly({ config: { pool_metadata: { database_path: file } } }), file };
}

test('WalkRepos finds every repository once, in order, with its last change', async () => {
  await using gitaly = await startGitaly();
  const storage = gitaly.storagePath();
  for (const name of ['b.git', 'a/b/c.git', 'a-b.git', '@hashed/x.git']) initRepository(join(storage, name));
  initRepository(join(storage, 'b.git/nested.git'));
  renameSync(join(storage, 'a-b.git/HEAD'), join(storage, 'a-b.git/HEAD.lost'));
  symlinkSync('b.git', join(storage, 'a-link.git'));
  mkdirSync(join(storage, 'empty'));
  symlinkSync('a', join(storage, 'z-loop'));
  initRepository(join(storage, '+gitaly/hidden.git'));

  assert.deepEqual(await walked(gitaly), ['@hashed/x.git', 'a/b/c.git', 'a-link.git', 'b.git']);
});

test('WalkRepos ends when the client leaves', async () => {
  await using gitaly = await startGitaly();
  for (const name of ['a.git', 'b.git', 'c.git']) initServed(gitaly, name);

  for await (const { relativePath } of gitaly.connection.internal.walkRepos({ storageName })) {
    assert.equal(relativePath, 'a.git');
    break;
  }
});

test('ScanPoolMetadata tells members, and notes those whose pool is gone', async (context) => {
  const { gitaly, file } = await startWithStore(context);
  await using _ = gitaly;
  initServed(gitaly, 'pool.git');
  addMember(gitaly, 'member.git', 'pool.git');
  addMember(gitaly, 'orphan.git', 'gone.git');

  const found = await Array.fromAsync(gitaly.connection.internal.scanPoolMetadata({ storageName }));

  assert.deepEqual(
    found.map(({ relativePath, poolDiskPath }) => [relativePath, poolDiskPath]),
    [['member.git', 'pool.git']],
  );
  using database = new DatabaseSync(file, { readOnly: true });
  const broken = database.prepare('SELECT pool_member, storage, pool FROM broken_pools').all();
  assert.deepEqual(
    broken.map((row) => ({ ...row })),
    [{ pool_member: 'orphan.git', storage: 'default', pool: 'gone.git' }],
  );
});

test('StorePoolMetadata replaces the pools of its storage, ListPoolMetadata lists them', async (context) => {
  const { gitaly, file } = await startWithStore(context);
  await using _ = gitaly;
  const { internal } = gitaly.connection;
  const store = (storage: string, ...members: [string, string, boolean?][]) =>
    internal.storePoolMetadata(
      members.map(([relativePath, poolDiskPath, isUpstream = false]) => ({
        storageName: storage,
        relativePath,
        poolDiskPath,
        isUpstream,
      })),
    );
  const pools = async (storage: string) =>
    (await Array.fromAsync(internal.listPoolMetadata({ storageName: storage }))).map(
      (one) => one.poolDiskPath,
    );

  await store('other', ['z.git', 'pool-z']);
  await store('default', ['a.git', 'pool-b', true], ['b.git', 'pool-b'], ['c.git', 'pool-a']);
  await store('default', ['a.git', 'pool-b', true], ['b.git', 'pool-c']);
  await store('default');

  assert.deepEqual(await pools('default'), ['pool-b', 'pool-c']);
  assert.deepEqual(await pools('other'), ['pool-z']);
  using database = new DatabaseSync(file, { readOnly: true });
  const rows = database.prepare('SELECT * FROM pool_members ORDER BY 1').all();
  assert.deepEqual(
    rows.map((row) => Object.values(row)),
    [
      ['a.git', 'pool-b', 1],
      ['b.git', 'pool-c', 0],
      ['z.git', 'pool-z', 0],
    ],
  );
  await assert.rejects(store('default', ['a.git', 'pool-x'], ['a.git', 'pool-y']), {
    code: 'INTERNAL',
    message: /^store pool data: UNIQUE constraint failed: pool_members.member_disk_path/,
  });
  assert.deepEqual(await pools('default'), ['pool-b', 'pool-c'], 'nothing of a refused list is stored');
});

test('the store waits for another process that writes', async (context) => {
  const { gitaly, file } = await startWithStore(context);
  await using _ = gitaly;
  using other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');

  const stored = gitaly.connection.internal.storePoolMetadata([
    { storageName, relativePath: 'a.git', poolDiskPath: 'pool', isUpstream: false },
  ]);
  await gitaly.connection.server.readinessCheck({}); // the event loop is free
  other.exec('COMMIT');

  await stored;
});

test('ListPoolUpstreams asks GitLab for 500 pools at a time', async () => {
  await using api = await startInternalApi();
  await using gitaly = await startGitaly({ internalApi: api });
  const paths = Array.from({ length: 501 }, (_, index) => `@pools/${index}.git`);
  api.reset({
    '/gitaly/object_pool_members': ({ path }: { path: string }) => {
      const asked = new URL(path, 'http://x').searchParams.getAll('disk_paths[]');
      const member = (pool: string) => [{ relative_path: `${pool}-upstream`, public: true }];
      return [200, Object.fromEntries(asked.map((pool) => [pool, member(pool)]))];
    },
  });

  const [answer] = await Array.fromAsync(
    gitaly.connection.internal.listPoolUpstreams([
      { storageName, poolDiskPaths: paths.slice(0, 300) },
      { storageName, poolDiskPaths: paths.slice(250) },
    ]),
  );

  assert.equal(api.calls.length, 2);
  assert.deepEqual(
    answer?.upstreams,
    Object.fromEntries(paths.map((path) => [path, `${path.slice(0, -4)}-upstream`])),
  );
  const query = new URL(api.calls[1]?.path ?? '', 'http://x').searchParams;
  assert.deepEqual([query.get('storage'), query.get('upstream_only')], ['default', 'true']);
});
