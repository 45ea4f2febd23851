import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { sql } from '#praefect/database/database';
import { deriveReplicaPath } from '#praefect/routing/replica-path';
import { writeScript } from '#testkit/clients/operation-fixture';
import { pushBody, readReport } from '#testkit/repositories/push';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { USER as user } from '#testkit/user';
import { commit, NODES, repository } from './cluster-repository.ts';

/** The commits of `main`. */
interface History {
  readonly first: string;
  readonly second: string;
}

interface RefusedWrite {
  readonly name: string;
  /** Name of a hook that refuses, on all nodes. */
  readonly hook?: string;
  /** Makes the write and checks that it is refused. */
  readonly run: (cluster: TestCluster, history: History) => Promise<void>;
}

const push: RefusedWrite['run'] = async ({ connection }, { first, second }) => {
  const request = { repository, glId: user.glId, glRepository: 'project-1' };
  const parts: Buffer[] = [];
  const data = pushBody([`${second} ${first} refs/heads/main`]);
  for await (const response of connection.smartHttp.postReceivePack([request, { data }]))
    parts.push(Buffer.from(response.data));
  assert.match(readReport(Buffer.concat(parts)).report.join(), /ng refs\/heads\/main .*hook declined/);
};

const REFUSED: readonly RefusedWrite[] = [
  {
    name: 'an update of a branch with a wrong old value',
    run: async ({ connection }, { first }) => {
      const update = connection.operation.userUpdateBranch({
        repository,
        user,
        branchName: Buffer.from('main'),
        newrev: Buffer.from(first),
        oldrev: Buffer.from(first),
      });
      await assert.rejects(update, { message: 'Could not update main. Please refresh and try again.' });
    },
  },
  {
    name: 'a commit that the update hook refuses',
    hook: 'update',
    run: async (cluster) => await assert.rejects(commit(cluster, 'third'), /running update hooks/),
  },
  { name: 'a push that the pre-receive hook refuses', hook: 'pre-receive', run: push },
  { name: 'a push that the update hook refuses', hook: 'update', run: push },
];

// Born failing: each outdated the other replicas, which then got a copy, as with Gitaly's Praefect.
suite('a refused write outdates no replica', { skip: withoutPostgres }, () => {
  for (const { hook, name, run } of REFUSED)
    test(name, async () => {
      await using postgres = await startPostgres();
      await using cluster = await startCluster({ database: postgres });
      await cluster.connection.repository.createRepository({ repository });
      const first = await commit(cluster, 'first');
      const second = await commit(cluster, 'second');
      const path = deriveReplicaPath(1, repository.relativePath);
      if (hook !== undefined)
        for (const node of NODES)
          writeScript(join(cluster.repositoryPath(node, path), 'custom_hooks', hook), 'exit 1');

      await run(cluster, { first, second });

      assert.deepEqual(await generations(postgres), [2, 2, 2]);
    });
});

async function generations({ database }: TestDatabase): Promise<number[]> {
  const rows = await database.rows(sql<{ generation: number }>`SELECT generation FROM storage_repositories`);
  return rows.map(({ generation }) => generation);
}
