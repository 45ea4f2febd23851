import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Connection, commitFiles } from '#client/index';
import { sql } from '#praefect/database/database';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'x.git' };
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };
const CLIENTS = 16;
const ROUNDS = 4;

/** Creates the branch `main` with a commit, and returns its id. */
async function commitTo(connection: Connection): Promise<string> {
  const update = await commitFiles(
    connection,
    {
      repository,
      user,
      branchName: Buffer.from('main'),
      commitMessage: Buffer.from('message'),
      timestamp: { seconds: 1_700_000_000n, nanos: 0 },
    },
    [{ type: 'create', path: 'x', content: 'x' }],
  );
  return update?.commitId ?? '';
}

// Each node locked packed-refs for another deletion, waited a second for it, and refused all.
test('writes and deletions of references of one repository do not refuse each other', async () => {
  await using cluster = await startCluster({ nodes: 3 });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  const revision = Buffer.from(await commitTo(connection));

  const client = async (_: unknown, index: number): Promise<void> => {
    const ref = Buffer.from(`refs/heads/b${index}`);
    const [same, other] = [revision, Buffer.from('0'.repeat(40))];
    for (let round = 0; round < ROUNDS; round++) {
      await connection.repository.writeRef({ repository, ref, revision: same });
      await connection.repository.writeRef({ repository, ref: Buffer.from('refs/heads/shared'), revision });
      await connection.ref.updateReferences([
        { repository, updates: [{ reference: ref, newObjectId: Buffer.from(revision) }] },
      ]);
      await connection.ref.deleteRefs({ repository, refs: [ref] });
      await connection.repository.writeRef({ repository, ref, revision: same, oldRevision: other });
      await connection.operation.userDeleteBranch({ repository, user, branchName: Buffer.from(`b${index}`) });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));

  const refs: string[] = [];
  for await (const { references } of connection.ref.listRefs({
    repository,
    patterns: [Buffer.from('refs/heads/')],
  }))
    refs.push(...references.map(({ name }) => name.toString()));
  assert.deepEqual(refs, ['refs/heads/main', 'refs/heads/shared']);
});

test('writes through two Praefects do not refuse each other when they share the order', {
  skip: withoutPostgres,
}, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({
    database: postgres,
    praefects: 2,
    config: { transactions: { ordered_across_praefects: true } },
  });
  await cluster.connection.repository.createRepository({ repository });
  const revision = Buffer.from(await commitTo(cluster.connection));

  const client = async (_: unknown, index: number): Promise<void> => {
    const connection = cluster.praefects[index % 2]?.connection ?? cluster.connection;
    const ref = Buffer.from(`refs/heads/b${index}`);
    for (let round = 0; round < 2; round++) {
      await connection.repository.writeRef({ repository, ref, revision });
      await connection.ref.deleteRefs({ repository, refs: [ref] });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));

  const { database } = postgres;
  // As if another Praefect held it.
  await database.run(sql`
    INSERT INTO repository_reference_write_locks (lock_id, holder_txn_id, expired_at)
    VALUES (${`default|${repository.relativePath}`}, 1, now() + interval '1 minute')`);
  let isWritten = false;
  const waiting = cluster.connection.repository
    .writeRef({ repository, ref: Buffer.from('refs/heads/waiting'), revision })
    .then(() => {
      isWritten = true;
    });
  // A write takes less time than these.
  for (let count = 0; count < 100; count++)
    await cluster.connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  assert.equal(isWritten, false);
  await database.run(sql`DELETE FROM repository_reference_write_locks`);
  await waiting;
  await until(async () => {
    const rows = await database.rows(sql`SELECT lock_id FROM repository_reference_write_locks`);
    return rows.length === 0;
  }, 'all locks are released');
});
