import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitFiles } from '#client/index';
import { startCluster } from '#testkit/start-cluster';

const repository = { storageName: 'default', relativePath: 'x.git' };
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };
const CLIENTS = 16;
const ROUNDS = 4;

// Each node locked packed-refs for another deletion, waited a second for it, and refused all.
test('writes and deletions of references of one repository do not refuse each other', async () => {
  await using cluster = await startCluster({ nodes: 3 });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  await commitFiles(
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
  const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
  const revision = Buffer.from(commit?.id ?? '');

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
