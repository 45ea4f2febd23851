import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly } from '#testkit/start-gitaly';

const HASH = '4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce';
const objectPool = { repository: { storageName: 'default', relativePath: `@pools/4e/07/${HASH}.git` } };
const origin = { storageName: 'default', relativePath: 'origin.git' };

test('a pool follows its origin, and keeps what the origin has given up', async () => {
  await using gitaly = await startGitaly();
  const [there, pool] = [origin, objectPool.repository].map(({ relativePath }) =>
    join(gitaly.storagePath(), relativePath),
  );
  assert.ok(there !== undefined && pool !== undefined);
  initRepository(there, { commits: 2 });
  const { objectPool: pools } = gitaly.connection;
  await pools.createObjectPool({ objectPool, origin });
  addCommit(there, 3);
  const old = gitOutput(there, ['rev-parse', 'main']);

  await pools.fetchIntoObjectPool({ objectPool, origin });
  assert.equal(gitOutput(pool, ['rev-parse', 'refs/remotes/origin/heads/main']), old);

  const rewritten = gitOutput(there, ['commit-tree', '-m', 'rewritten', 'main^{tree}']);
  gitOutput(there, ['update-ref', 'refs/heads/main', rewritten]);
  await pools.fetchIntoObjectPool({ objectPool, origin });

  assert.equal(gitOutput(pool, ['rev-parse', 'refs/remotes/origin/heads/main']), rewritten);
  assert.equal(gitOutput(pool, ['cat-file', '-t', old]), 'commit');
  assert.match(gitOutput(pool, ['for-each-ref', 'refs/dangling']), new RegExp(old));
});

test('the nodes of a cluster vote on stale references, and on none of them as well', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, origin.relativePath, { commits: 1 });
  await gitaly.connection.objectPool.createObjectPool({ objectPool, origin });
  const pool = join(gitaly.storagePath(), objectPool.repository.relativePath);
  await gitaly.connection.objectPool.fetchIntoObjectPool({ objectPool, origin });
  await using cluster = await startVotingServer(gitaly.address);
  const votesOf = async (): Promise<string[]> => {
    const before = cluster.votes.length;
    const options = { metadata: cluster.metadata() };
    await cluster.connection.objectPool.fetchIntoObjectPool({ objectPool, origin }, options);
    return cluster.votes.slice(before).map(({ phase, hash }) => `${phase} ${hash}`);
  };
  const threeOn = (text: string): string[] => {
    const hash = createHash('sha1').update(text).digest('hex');
    return ['PREPARING_PHASE', 'PREPARED_PHASE', 'COMMITTED_PHASE'].map((phase) => `${phase} ${hash}`);
  };

  assert.deepEqual(await votesOf(), threeOn(''));

  const stale = 'refs/remotes/origin/heads/stale';
  gitOutput(pool, ['update-ref', stale, 'refs/remotes/origin/heads/main']);
  const zero = '0'.repeat(40);
  assert.deepEqual(await votesOf(), threeOn(`${zero} ${zero} ${stale}\n`));
  assert.equal(gitOutput(pool, ['for-each-ref', stale]), '');
});
