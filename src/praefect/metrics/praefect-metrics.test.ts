import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { Availability } from '../store/availability.ts';
import { databaseMetrics } from './database-metrics.ts';

const skip = withoutPostgres;
const repository = { storageName: 'default', relativePath: 'x.git' };
const LATENCIES = '0.001,0.005,0.025,0.1,0.5,1,10,30,60,300,1500';

/** Families `grpc_client_…`. */
const OF_NODE_CALLS = {
  started_total: 'counter grpc_method,grpc_service,grpc_type',
  handled_total: 'counter grpc_code,grpc_method,grpc_service,grpc_type',
  msg_received_total: 'counter grpc_method,grpc_service,grpc_type',
  msg_sent_total: 'counter grpc_method,grpc_service,grpc_type',
  handling_seconds: `histogram grpc_method,grpc_service,grpc_type ${LATENCIES}`,
};

/** The families of a text exposition: type, labels and bounds of the buckets. */
function familiesOf(exposition: string): Map<string, string> {
  const families = exposition.split('# HELP ').slice(1);
  const unique = (text: string, pattern: RegExp): string[] => [
    ...new Set(Array.from(text.matchAll(pattern), ([, found = '']) => found)),
  ];
  return new Map(
    families.map((text) => {
      const [, name = '', type = ''] = /# TYPE (\w+) (\w+)/.exec(text) ?? [];
      const labels = unique(text, /[{,](\w+)="/g).filter((label) => label !== 'le');
      const bounds = unique(text, /[{,]le="([^"]+)"/g).filter((bound) => bound !== '+Inf');
      return [name, [type, labels.sort().join(','), bounds.join(',')].join(' ').trim()];
    }),
  );
}

const read = async (cluster: TestCluster, path: string): Promise<string> =>
  await (await fetch(`${cluster.server.monitoringAddress}${path}`)).text();

test('the metrics of 19.0 are there, with its labels and buckets', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({
    database: postgres,
    config: { prometheus_listen_addr: '127.0.0.1:0' },
  });
  await cluster.connection.repository.createRepository({ repository });
  await cluster.connection.ref.findDefaultBranchName({ repository });
  // One replica is outdated: it gets a copy.
  await postgres.database.run(sql`UPDATE storage_repositories SET generation = -1
    WHERE storage <> (SELECT "primary" FROM repositories)`);
  const ref = { ref: Buffer.from('HEAD'), revision: Buffer.from('refs/heads/other') };
  await cluster.connection.repository.writeRef({ repository, ...ref });
  await until(async () =>
    /replication_latency_count\{type="update"\} 2/.test(await read(cluster, '/metrics')),
  );
  await until(async () => /verification_jobs_completed_total/.test(await read(cluster, '/metrics')));

  const found = familiesOf(await read(cluster, '/metrics'));

  const expected: Readonly<Record<string, string>> = {
    connections_total: 'counter type',
    method_types: 'counter method_type',
    notifications_reconnects_total: 'counter state',
    read_distribution: 'counter storage,virtual_storage',
    replication_delay: `histogram type ${LATENCIES}`,
    replication_jobs: 'gauge change_type,gitaly_storage,virtual_storage',
    replication_latency: `histogram type ${LATENCIES}`,
    reconciliation_scheduling_seconds: 'histogram  0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10',
    stale_verification_leases_released_total: 'counter',
    subtransactions_per_transaction_total: 'histogram  0,1,2,4,8,16,32',
    transactions_delay_seconds: `histogram action ${LATENCIES}`,
    transactions_total: 'counter action',
    tx_replications_total: 'counter reason',
    uptodate_storages_cache_access_total: 'counter type,virtual_storage',
    verification_jobs_completed_total: 'counter result,storage,virtual_storage',
    verification_jobs_dequeued_total: 'counter storage,virtual_storage',
    voters_per_transaction_total: 'histogram virtual_storage 1,2,3',
  };
  for (const [name, description] of Object.entries(expected))
    assert.equal(found.get(`gitaly_praefect_${name}`), description, name);
  assert.equal(found.get('grpc_server_handling_seconds')?.split(' ')[0], 'histogram');
  const started = await read(cluster, '/metrics');
  for (const series of [
    'grpc_method="CreateRepository",grpc_service="gitaly.RepositoryService",grpc_type="bidi_stream"} 1',
    'grpc_method="RepositoryExists",grpc_service="gitaly.RepositoryService",grpc_type="bidi_stream"} 0',
    'grpc_method="ServerInfo",grpc_service="gitaly.ServerService",grpc_type="unary"} 0',
  ])
    assert.ok(started.includes(`grpc_server_started_total{${series}`), series);
  for (const [rest, description] of Object.entries(OF_NODE_CALLS))
    assert.equal(found.get(`grpc_client_${rest}`), description, rest);
  assert.ok(found.has('gitaly_backchannel_yamux_write_size_bytes'));
  assert.equal([...found.keys()].filter((name) => name.includes('queue_depth')).length, 0);

  assert.deepEqual(
    [...familiesOf(await read(cluster, '/db_metrics'))],
    [
      ['gitaly_praefect_unavailable_repositories', 'gauge virtual_storage'],
      ['gitaly_praefect_verification_queue_depth', 'gauge status,storage,virtual_storage'],
    ],
  );
});

test('calls of nodes are counted: passed on as streams, own calls by their kind, votes', async () => {
  await using cluster = await startCluster({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const { connection } = cluster;
  const missing = { storageName: 'default', relativePath: 'missing.git' };
  await connection.repository.createRepository({ repository });
  await connection.ref.findDefaultBranchName({ repository });
  await assert.rejects(connection.repository.repositorySize({ repository: missing }));
  await connection.server.diskStatistics({});
  await cluster.stopNode(3);
  let text = '';
  const countOf = (name: string, labels: string): number =>
    Number(new RegExp(`^grpc_client_${name}\\{${labels}\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const labelsOf = (method: string, service: string, type: string): string =>
    `grpc_method="${method}",grpc_service="${service}",grpc_type="${type}"`;
  const check = labelsOf('Check', 'grpc.health.v1.Health', 'unary');
  await until(async () => {
    text = await read(cluster, '/metrics');
    return countOf('handled_total', `grpc_code="Unavailable",${check}`) > 0;
  });

  const counts = (method: string, service: string, type: string, code: string): readonly number[] => {
    const labels = labelsOf(method, service, type);
    return [
      countOf('started_total', labels),
      countOf('msg_sent_total', labels),
      countOf('msg_received_total', labels),
      countOf('handled_total', `grpc_code="${code}",${labels}`),
      countOf('handling_seconds_count', labels),
    ];
  };
  assert.deepEqual(
    counts('CreateRepository', 'gitaly.RepositoryService', 'bidi_stream', 'OK'),
    [3, 3, 3, 3, 3],
  );
  assert.deepEqual(
    counts('FindDefaultBranchName', 'gitaly.RefService', 'bidi_stream', 'OK'),
    [1, 1, 1, 1, 1],
  );
  assert.deepEqual(
    counts('RepositorySize', 'gitaly.RepositoryService', 'bidi_stream', 'NotFound'),
    [1, 1, 0, 1, 1],
  );
  // The library of 19.0 counts a received message of a unary call only when the call has failed.
  assert.deepEqual(counts('DiskStatistics', 'gitaly.ServerService', 'unary', 'OK'), [3, 3, 0, 3, 3]);
  assert.equal(
    countOf('msg_received_total', check),
    countOf('handled_total', `grpc_code="Unavailable",${check}`),
  );
  const votes = `grpc_code="OK",${labelsOf('VoteTransaction', 'gitaly.RefTransaction', 'unary')}`;
  const [, voted] = new RegExp(`^grpc_server_handled_total\\{${votes}\\} (\\d+)$`, 'm').exec(text) ?? [];
  assert.ok(Number(voted) >= 3, 'each node has voted');
});

test('metrics of the database count repositories, jobs and replicas', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const log: string[] = [];
  const storages = new Map([
    ['default', ['a', 'b']],
    ['other', ['c']],
  ]);
  const render = databaseMetrics({
    database,
    availability: new Availability(database, storages),
    storages,
    verificationIntervalMs: 1000,
    timeoutMs: 10_000,
    logger: createLogger({ format: 'text', level: 'info', stream: { write: (line) => log.push(line) } }),
  });
  await database.run(sql`INSERT INTO repositories
    VALUES ('default', 'x', 1, 'a', 1, 'x'), ('default', 'y', 1, 'a', 2, 'y')`);
  await database.run(sql`INSERT INTO storage_repositories VALUES
    ('default', 'x', 'a', 1, 1, NULL), ('default', 'x', 'b', 1, 1, now() - interval '1 hour'),
    ('default', 'y', 'a', 1, 2, now() + interval '1 hour'), ('default', 'y', 'gone', 1, 2, NULL)`);
  await database.run(sql`INSERT INTO node_status (praefect_name, shard_name, node_name,
    last_contact_attempt_at, last_seen_active_at) VALUES ('p', 'default', 'b', now(), now())`);
  const jobOf = (target: string) =>
    sql`INSERT INTO replication_queue (lock_id, job) VALUES ('x',
      jsonb_build_object('virtual_storage', 'default', 'target_node_storage', ${target}::text))`;
  for (const target of ['a', 'b', 'b']) await database.run(jobOf(target));

  const samples = async (): Promise<readonly string[]> =>
    (await render('text')).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

  const prefix = 'gitaly_praefect';
  assert.deepEqual((await samples()).toSorted(), [
    `${prefix}_replication_queue_depth{state="ready",target_node="a",virtual_storage="default"} 1`,
    `${prefix}_replication_queue_depth{state="ready",target_node="b",virtual_storage="default"} 2`,
    `${prefix}_unavailable_repositories{virtual_storage="default"} 1`,
    `${prefix}_unavailable_repositories{virtual_storage="other"} 0`,
    `${prefix}_verification_queue_depth{status="expired",storage="a",virtual_storage="default"} 0`,
    `${prefix}_verification_queue_depth{status="expired",storage="b",virtual_storage="default"} 1`,
    `${prefix}_verification_queue_depth{status="expired",storage="c",virtual_storage="other"} 0`,
    `${prefix}_verification_queue_depth{status="expired",storage="gone",virtual_storage="default"} 0`,
    `${prefix}_verification_queue_depth{status="unverified",storage="a",virtual_storage="default"} 1`,
    `${prefix}_verification_queue_depth{status="unverified",storage="b",virtual_storage="default"} 0`,
    `${prefix}_verification_queue_depth{status="unverified",storage="c",virtual_storage="other"} 0`,
    `${prefix}_verification_queue_depth{status="unverified",storage="gone",virtual_storage="default"} 1`,
  ]);
  assert.deepEqual(log, []);

  // What cannot be collected is left out.
  await database.run(sql`DROP TABLE replication_queue CASCADE`);
  assert.equal((await samples()).length, 8);
  assert.match(log.join(''), /failed to query queue depth metrics/);
});

test('a query that takes too long is aborted by the server', { skip }, async () => {
  await using postgres = await startPostgres();

  await assert.rejects(postgres.database.limitedRows(sql`SELECT pg_sleep(60)`, 50), {
    message: 'canceling statement due to statement timeout',
  });

  const rows = await postgres.database.rows(sql`SHOW statement_timeout`);
  assert.deepEqual(rows, [{ statement_timeout: '0' }]);
});
