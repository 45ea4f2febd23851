import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { dial } from '#client/index';
import { sql } from '#praefect/database/database';
import { runPraefect, runPraefectProgram } from '#testkit/praefect/run-praefect';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster } from '#testkit/start-cluster';

const skip = withoutPostgres;
const storageName = 'default';
const member = { storageName, relativePath: 'member.git' };
const pool = { storageName, relativePath: `@pools/ab/cd/abcd${'0'.repeat(60)}.git` };

test('pool records members by their paths as clients name them, on all nodes', { skip }, async () => {
  await using postgres = await startPostgres();
  await using api = await startInternalApi();
  await using cluster = await startCluster({
    database: postgres,
    nodes: 2,
    gitaly: { internalApi: api },
    gitalyConfig: (directory) => ({ pool_metadata: { database_path: join(directory, 'pools.db') } }),
  });
  const both = { cluster, postgres };
  const none = await runPraefect(both, 'pool');
  assert.equal(
    none.stdout,
    'found 0 unique pool members in virtual storage "default"\n' +
      'no pool members found on virtual storage "default", nothing to store\n',
  );
  await cluster.connection.repository.createRepository({ repository: member });
  await cluster.connection.objectPool.createObjectPool({ objectPool: { repository: pool }, origin: member });
  const { database } = postgres;
  await database.run(sql`UPDATE repositories SET "primary" = 'gitaly-1'`);
  const [ofMember = '', ofPool = ''] = (
    await database.rows(sql<{ path: string }>`
      SELECT replica_path AS path FROM repositories ORDER BY relative_path = ${pool.relativePath}`)
  ).map(({ path }) => path);
  // Both are at a depth of four directories.
  writeFileSync(
    join(cluster.repositoryPath(1, ofMember), 'objects/info/alternates'),
    `../../../../../../${ofPool}/objects\n`,
  );
  api.reset({
    '/gitaly/object_pool_members': () => [
      200,
      { [pool.relativePath.slice(0, -4)]: [{ relative_path: member.relativePath, public: true }] },
    ],
  });

  const stored = await runPraefectProgram(both, 'pool');

  assert.deepEqual(stored, {
    stdout:
      'found 1 unique pool members in virtual storage "default"\n' +
      'stored pool metadata for virtual storage "default" on 2 nodes\n',
    stderr: '',
    code: 0,
  });
  for (const [index, node] of cluster.nodes.entries()) {
    await using connection = await dial(node.address);
    const listed = connection.internal.listPoolMetadata({ storageName: `gitaly-${index + 1}` });
    assert.deepEqual(
      (await Array.fromAsync(listed)).map(({ poolDiskPath }) => poolDiskPath),
      [pool.relativePath],
    );
    using file = new DatabaseSync(join(node.directory, 'pools.db'), { readOnly: true });
    const rows = file.prepare('SELECT * FROM pool_members').all();
    assert.deepEqual(
      rows.map((row) => Object.values(row)),
      [[member.relativePath, pool.relativePath, 1]],
    );
  }
});

test('pool refuses a primary that is not configured', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 1 });
  const both = { cluster, postgres };
  await postgres.database.run(sql`INSERT INTO repositories
    VALUES ('default', 'x', 1, 'gitaly-9', 1, 'x')`);

  assert.deepEqual(await runPraefect(both, 'pool'), {
    stdout: '',
    stderr: 'scan primaries for "default": node "gitaly-9" not found in virtual storage "default"\n',
    code: 1,
  });
});
