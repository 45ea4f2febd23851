import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  addCommit,
  gitOutput,
  initRepository,
  initServed,
  referenceBackends,
} from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const HASH = '4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce';
const POOL_PATH = `@pools/4e/07/${HASH}.git`;
const origin = { storageName: 'default', relativePath: 'group/origin.git' };
const member = { storageName: 'default', relativePath: 'group/member.git' };
const objectPool = { repository: { storageName: 'default', relativePath: POOL_PATH } };
const ALTERNATES = `../../../${POOL_PATH}/objects`;

type Formats = Parameters<typeof initRepository>[1];

/** An origin, a copy of it without its own objects, and their pool. */
async function startWithPool(formats: Formats = {}): Promise<TestGitaly> {
  const gitaly = await startGitaly();
  const path = (relativePath: string) => join(gitaly.storagePath(), relativePath);
  initRepository(path(origin.relativePath), { commits: 3, ...formats });
  initRepository(path(member.relativePath), formats);
  await gitaly.connection.objectPool.createObjectPool({ objectPool, origin });
  await gitaly.connection.objectPool.linkRepositoryToObjectPool({ repository: member, objectPool });
  const main = gitOutput(path(origin.relativePath), ['rev-parse', 'main']);
  gitOutput(path(member.relativePath), ['update-ref', 'refs/heads/main', main]);
  return gitaly;
}

const commitsOf = (gitaly: TestGitaly, { relativePath }: { relativePath: string }): string =>
  gitOutput(join(gitaly.storagePath(), relativePath), ['rev-list', '--count', '--all']);

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const referenceBackend of referenceBackends()) {
    test(`a member of a pool can be made independent (${objectFormat}, ${referenceBackend})`, async () => {
      await using gitaly = await startWithPool({ objectFormat, referenceBackend });
      const directory = join(gitaly.storagePath(), member.relativePath);
      const { objectPool: calls } = gitaly.connection;
      assert.equal(readFileSync(join(directory, 'objects/info/alternates'), 'utf8'), ALTERNATES);
      assert.equal(
        (await calls.getObjectPool({ repository: member })).objectPool?.repository?.relativePath,
        POOL_PATH,
      );

      await calls.disconnectGitAlternates({ repository: member });
      await calls.deleteObjectPool({ objectPool });

      assert.equal((await calls.getObjectPool({ repository: member })).objectPool, undefined);
      assert.equal(existsSync(join(gitaly.storagePath(), POOL_PATH)), false);
      assert.equal(commitsOf(gitaly, member), '3');
      gitOutput(directory, ['fsck', '--full', '--strict']);
    });
  }
}

test('deleting a pool gives its objects to the members that still borrow them', async () => {
  await using gitaly = await startWithPool();
  const directory = join(gitaly.storagePath(), member.relativePath);

  await gitaly.connection.objectPool.deleteObjectPool({ objectPool });

  assert.equal(existsSync(join(gitaly.storagePath(), POOL_PATH)), false);
  assert.equal(existsSync(join(directory, 'objects/info/alternates')), false);
  gitOutput(directory, ['fsck', '--full', '--strict']);
  assert.equal(commitsOf(gitaly, member), '3');
});

test('deleting a pool keeps the other alternates of a member', async () => {
  await using gitaly = await startWithPool();
  const file = join(gitaly.storagePath(), member.relativePath, 'objects/info/alternates');
  appendFileSync(file, '\n../../origin.git/objects\n');

  await gitaly.connection.objectPool.deleteObjectPool({ objectPool });

  assert.equal(readFileSync(file, 'utf8'), '../../origin.git/objects\n');
  gitOutput(join(gitaly.storagePath(), member.relativePath), ['fsck', '--full', '--strict']);
});

// Symptom: after one deletion of a pool, a member that RenameNamespace had moved lost its objects.
test('deleting a pool gives its objects to members that were moved with their namespace', async () => {
  await using gitaly = await startWithPool();
  const { namespace, objectPool: pools } = gitaly.connection;
  const other = { repository: { storageName: 'default', relativePath: POOL_PATH.replace('@', 'x/@') } };
  await pools.createObjectPool({ objectPool: other, origin });
  await pools.deleteObjectPool({ objectPool: other });

  await namespace.renameNamespace({ storageName: 'default', from: 'group', to: 'team' });
  await pools.deleteObjectPool({ objectPool });

  assert.equal(existsSync(join(gitaly.storagePath(), POOL_PATH)), false);
  const moved = join(gitaly.storagePath(), 'team/member.git');
  gitOutput(moved, ['fsck', '--full', '--strict']);
  assert.equal(gitOutput(moved, ['rev-list', '--count', '--all']), '3');
});

test('deleting a pool that is not there is no error', async () => {
  await using gitaly = await startGitaly();

  await gitaly.connection.objectPool.deleteObjectPool({ objectPool });
});

test('linking again changes nothing', async () => {
  await using gitaly = await startWithPool();
  const file = join(gitaly.storagePath(), member.relativePath, 'objects/info/alternates');
  const before = statSync(file, { bigint: true });

  await gitaly.connection.objectPool.linkRepositoryToObjectPool({ repository: member, objectPool });

  const after = statSync(file, { bigint: true });
  assert.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs]);
});

test('a call that reads a member sees the objects of the pool from the link on', async () => {
  await using gitaly = await startWithPool();
  const pool = join(gitaly.storagePath(), POOL_PATH);
  const find = async (id: string) =>
    (await gitaly.connection.commit.findCommit({ repository: member, revision: Buffer.from(id) })).commit?.id;
  await gitaly.connection.objectPool.disconnectGitAlternates({ repository: member });
  const inPool = addCommit(pool, 4);
  assert.equal(await find(inPool), undefined);

  await gitaly.connection.objectPool.linkRepositoryToObjectPool({ repository: member, objectPool });

  assert.equal(await find(inPool), inPool);
});

test('a member that lacks objects stays a member', async () => {
  await using gitaly = await startWithPool();
  const directory = join(gitaly.storagePath(), member.relativePath);
  writeFileSync(join(directory, 'refs/heads/broken'), `${'1'.repeat(40)}\n`);

  const call = gitaly.connection.objectPool.disconnectGitAlternates({ repository: member });

  await assert.rejects(call, {
    code: 'INTERNAL',
    message: 'git connectivity error while disconnected: exit status 128',
  });
  assert.equal(readFileSync(join(directory, 'objects/info/alternates'), 'utf8'), ALTERNATES);
});

test('alternates of a missing pool are reported when leaving it', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, member.relativePath, { commits: 1 });
  mkdirSync(join(directory, 'objects/info'), { recursive: true });
  writeFileSync(join(directory, 'objects/info/alternates'), `${ALTERNATES}\n`);

  await assert.rejects(gitaly.connection.objectPool.disconnectGitAlternates({ repository: member }), {
    code: 'INTERNAL',
    message: `stat ${gitaly.storagePath()}/${POOL_PATH}/objects: no such file or directory`,
  });
});

test('of many that create the same pool at once one wins', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, origin.relativePath, { commits: 2 });

  const results = await Promise.allSettled(
    Array.from({ length: 6 }, () => gitaly.connection.objectPool.createObjectPool({ objectPool, origin })),
  );

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  gitOutput(join(gitaly.storagePath(), POOL_PATH), ['fsck', '--full', '--strict']);
});

test('ReduplicateRepository copies what a member borrows', async () => {
  await using gitaly = await startWithPool();
  const directory = join(gitaly.storagePath(), member.relativePath);

  await gitaly.connection.objectPool.reduplicateRepository({ repository: member });

  assert.equal(readFileSync(join(directory, 'objects/info/alternates'), 'utf8'), ALTERNATES);
  const [index] = readdirSync(join(directory, 'objects/pack')).filter((name) => name.endsWith('.idx'));
  const listed = gitOutput(directory, ['verify-pack', '-v', join(directory, 'objects/pack', index ?? '')]);
  assert.equal(listed.match(/ commit /g)?.length, 3);
});

test('the log names the pool of a call beside the repository', async () => {
  await using gitaly = await startWithPool();

  const line = gitaly.log.find((each) => each['grpc.method'] === 'LinkRepositoryToObjectPool');

  assert.partialDeepStrictEqual(line, {
    'grpc.request.repoPath': member.relativePath,
    'grpc.request.pool.storage': 'default',
    'grpc.request.pool.relativePath': POOL_PATH,
    'grpc.request.pool.sourceProjectPath': '',
  });
});
