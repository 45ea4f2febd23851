import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { checkLoss, checkRecovery, reportedLoss } from './checks.ts';
import { FaultCluster } from './fault-cluster.ts';
import { type Choices, FAULTS } from './fault-kinds.ts';
import { startPushers } from './start-pushers.ts';

/** The first Praefect and the first node. */
const FIRST: Choices = { below: () => 0, of: (values) => values[0] as (typeof values)[number] };

test('faults at the worst moments', { skip: withoutOwnPostgres }, async (context) => {
  await using cluster = await FaultCluster.start();
  const { pushers, paths } = await startPushers(cluster, { repositories: 1, branches: 1 });
  const [pusher] = pushers;
  const [first, second] = cluster.praefects;
  const [node] = cluster.nodes;
  assert.ok(pusher && first && second && node);

  for (const moment of [
    'a Praefect is killed between votes',
    'a Praefect is killed before it records a write',
  ] as const) {
    await context.test(`${moment}: the push is not acknowledged, and the next one is`, async () => {
      const fault = FAULTS[moment](cluster, FIRST);
      const isAcknowledged = await pusher.push(0);
      const heal = await fault;

      assert.equal(first.process.isRunning, false, 'the moment has come');
      assert.equal(isAcknowledged, false);
      assert.ok(await checkLoss(cluster, second, pushers, paths));
      await heal();
      await checkRecovery(cluster, pushers, paths);
    });
  }

  await context.test('a node that comes back serves nothing old', async () => {
    const heal = await FAULTS['a node is killed'](cluster, FIRST);
    // Writes go on when the others agree that the node is gone.
    const limit = performance.now() + 60_000;
    while (!(await pusher.push()) && performance.now() < limit);
    await heal();

    const repository = { storageName: 'default', relativePath: pusher.relativePath };
    const revision = Buffer.from(`refs/heads/${pusher.branch}`);
    let reads = 0;
    do {
      for (const { connection } of cluster.praefects) {
        const { commit } = await connection.commit.findCommit({ repository, revision });
        assert.equal(commit?.id, pusher.latest);
        reads++;
      }
    } while ((await reportedLoss(first)).behind.size > 0);
    assert.ok(reads > 0);
    await checkRecovery(cluster, pushers, paths);
  });
});
