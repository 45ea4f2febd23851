import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
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
