import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { type StartClusterOptions, startCluster, type TestCluster } from '#testkit/start-cluster';
import { commit, repository } from './cluster-repository.ts';

/** Regular checks come too late for these tests. */
const intervals = { bootstrap_interval: '1ms', monitor_interval: '1h' };
const PAUSE_MS = 50;
/** Far above what it takes, and far below the interval of the checks. */
const LIMIT_MS = 30_000;

const withElections = (database: TestDatabase): StartClusterOptions => ({
  database,
  config: {
    i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
    failover: { election_strategy: 'sql', ...intervals },
  },
});

/** Writes until it succeeds. Returns the storage of the primary. */
async function write({ connection, log }: TestCluster): Promise<unknown> {
  const endMs = performance.now() + LIMIT_MS;
  for (let number = 1; ; number++) {
    const error = await commit({ connection }, `after-${number}`).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (error === undefined) break;
    if (performance.now() > endMs) throw error;
    await delay(PAUSE_MS);
  }
  const routed = log.findLast((line) => line['grpc.method'] === 'UserCommitFiles');
  return (routed?.route as { primary?: string } | undefined)?.primary;
}

/** Creates the repository and returns the number of its primary's node. */
async function start(cluster: TestCluster): Promise<number> {
  await cluster.connection.repository.createRepository({ repository });
  const storage = String(await write(cluster));
  return Number(storage.slice('gitaly-'.length));
}

// Born failing: the first write after a kill waited for the next regular check.
test('in memory, nodes are checked at once when a connection to one ends', async () => {
  await using cluster = await startCluster({
    config: { failover: { election_strategy: 'local', ...intervals } },
  });
  const primary = await start(cluster);

  await cluster.stopNode(primary);

  assert.notEqual(await write(cluster), `gitaly-${primary}`);
});

// Born failing, as before: each Praefect waited for its own check, and for ten seconds after the
// election before.
test('in PostgreSQL, so does each Praefect, also one without calls', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ ...withElections(postgres), praefects: 2 });
  const primary = await start(cluster);

  await cluster.stopNode(primary);

  assert.notEqual(await write(cluster), `gitaly-${primary}`);
});

// Born failing, as before. A server that stops refuses calls while its last ones run.
test('nodes are checked at once when one refuses calls', { skip: withoutPostgres }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster(withElections(postgres));
  const primary = await start(cluster);

  cluster.nodes[primary - 1]?.faults.add('*', { refuse: 'UNAVAILABLE' });

  assert.notEqual(await write(cluster), `gitaly-${primary}`);
});
