import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { sql } from '#praefect/database/database';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { familiesOf } from './exposition.ts';
import { ALERTS, missingOf, shippedQueries } from './shipped-queries.ts';

const repository = { storageName: 'default', relativePath: 'observed.git' };
const MONITORED = { prometheus_listen_addr: '127.0.0.1:0' };

const read = async (cluster: TestCluster, path: string): Promise<string> =>
  await (await fetch(`${cluster.server.monitoringAddress}${path}`)).text();

const hasSeries = (exposition: string, family: string): boolean =>
  (familiesOf(exposition).get(family)?.labels ?? '') !== '';

/** Returns the metrics of a cluster with the strategy `local`: only that and `sql` have a primary. */
async function ofElections(): Promise<string> {
  await using cluster = await startCluster({ config: MONITORED });
  let text = '';
  await until(async () => {
    text = await read(cluster, '/metrics');
    return hasSeries(text, 'gitaly_praefect_primaries');
  });
  return text
    .split(/(?=^# HELP )/m)
    .filter((family) => /_(primaries|last_healthcheck_up) /.test(family))
    .join('');
}

/** Returns the metrics of a cluster with a database, after a write, a read and a replication. */
async function ofDatabase(): Promise<string> {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, config: MONITORED });
  const { connection } = cluster;
  await connection.repository.createRepository({ repository });
  await connection.ref.findDefaultBranchName({ repository });
  await postgres.database.run(sql`UPDATE storage_repositories SET generation = -1
    WHERE storage <> (SELECT "primary" FROM repositories)`);
  const ref = { ref: Buffer.from('HEAD'), revision: Buffer.from('refs/heads/other') };
  await connection.repository.writeRef({ repository, ...ref });
  // A job that no praefect may start yet.
  await postgres.database.run(sql`INSERT INTO replication_queue (state, lock_id, job)
    VALUES ('dead', 'none', '{"virtual_storage": "default", "target_node_storage": "gitaly-2"}')`);
  let text = '';
  await until(async () => {
    text = (await read(cluster, '/metrics')) + (await read(cluster, '/db_metrics'));
    const expected = ['replication_jobs', 'replication_queue_depth', 'transactions_total'];
    return (
      expected.every((name) => hasSeries(text, `gitaly_praefect_${name}`)) &&
      hasSeries(text, 'nodejs_gc_duration_seconds')
    );
  });
  return text;
}

suite('the dashboard and the alert rules of praefect', { skip: withoutPostgres }, () => {
  let exposition = '';
  before(async () => {
    exposition = (await ofDatabase()) + (await ofElections());
  });

  for (const [file, queries] of shippedQueries('praefect')) {
    test(`${file}: asks for metrics, labels and buckets that exist`, () => {
      assert.ok(queries.length > 0);
      for (const query of queries) assert.deepEqual(missingOf(query, exposition), [], query);
    });
  }
});

// Prometheus was set up as described, and nobody was notified of a server that was gone.
for (const server of ['gitaly', 'praefect']) {
  test(`an alert reports a ${server} that Prometheus does not reach`, () => {
    const expressions = ALERTS.get(server)?.map(({ expr }) => expr) ?? [];

    assert.ok(expressions.some((expr) => /^up\{job=.*\} == 0$/.test(expr) && expr.includes(server)));
  });
}
