import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { test } from 'node:test';
import type { createLogger } from '#platform/log/logger';
import { lineLogger } from '#testkit/line-logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { Database, sql } from '../database/database.ts';
import { GitalyNode, type NodesByStorage } from '../nodes/gitaly-node.ts';
import { PostgresQueue } from '../replication/postgres-queue.ts';
import { searchOneStorage } from './cleaner.ts';
import { reconcile } from './reconciler.ts';
import { releaseLeases, type VerifierOptions, verifyReplicas } from './verifier.ts';

const skip = withoutPostgres;
const repository = { storageName: 'default', relativePath: '@hashed/aa/bb/aabb.git' };
const NEVER = new AbortController().signal;

interface Setting extends AsyncDisposable {
  readonly nodes: NodesByStorage;
  readonly log: Record<string, unknown>[];
  readonly logger: ReturnType<typeof createLogger>;
}

/** Nodes of a virtual storage, at the addresses of a cluster or nowhere. */
async function nodesOf(cluster?: TestCluster): Promise<Setting> {
  const { lines: log, logger } = lineLogger('debug');
  const nodes = await Promise.all(
    [1, 2, 3].map((number) =>
      GitalyNode.dial(
        {
          virtualStorage: 'default',
          storage: `gitaly-${number}`,
          address: cluster?.nodes[number - 1]?.address ?? 'unix:/nowhere',
          token: undefined,
        },
        () => {},
      ),
    ),
  );
  return {
    nodes: new Map([['default', nodes]]),
    log,
    logger,
    [Symbol.asyncDispose]: async () => {
      for (const node of nodes) await node[Symbol.asyncDispose]();
    },
  };
}

/** Records a repository with generations of its replicas, and assigned storages. */
async function record(
  { database }: TestDatabase,
  {
    id,
    generation,
    replicas,
    assigned = [],
  }: {
    id: number;
    generation: number;
    replicas: Readonly<Record<string, number>>;
    assigned?: readonly string[];
  },
): Promise<void> {
  const path = `${id}.git`;
  await database.run(sql`INSERT INTO repositories
    VALUES ('default', ${path}, ${generation}, 'gitaly-1', ${id}, ${`@cluster/${id}`})`);
  for (const [storage, replica] of Object.entries(replicas))
    await database.run(
      sql`INSERT INTO storage_repositories VALUES ('default', ${path}, ${storage}, ${replica}, ${id})`,
    );
  for (const storage of assigned)
    await database.run(
      sql`INSERT INTO repository_assignments VALUES ('default', ${path}, ${storage}, ${id})`,
    );
}

test('the reconciler queues copies and removals, once', { skip }, async () => {
  await using postgres = await startPostgres();
  await using setting = await nodesOf();
  const { database } = postgres;
  const healthy = new Set(['gitaly-1', 'gitaly-2', 'gitaly-3']);
  const run = () =>
    reconcile({
      database,
      nodes: setting.nodes,
      isHealthy: ({ storage }) => healthy.has(storage),
      logger: setting.logger,
      took: () => {},
    });
  // One is outdated and one is missing; all are good; one is not assigned; one is, and has the
  // only newest replica; nobody healthy is up to date.
  await record(postgres, { id: 1, generation: 3, replicas: { 'gitaly-1': 3, 'gitaly-2': 2 } });
  await record(postgres, { id: 2, generation: 1, replicas: { 'gitaly-1': 1, 'gitaly-2': 1, 'gitaly-3': 1 } });
  const twice = { 'gitaly-1': 1, 'gitaly-2': 1 };
  await record(postgres, { id: 3, generation: 1, replicas: twice, assigned: ['gitaly-1'] });
  await record(postgres, {
    id: 4,
    generation: 2,
    replicas: { 'gitaly-1': 1, 'gitaly-2': 2 },
    assigned: ['gitaly-1'],
  });
  await record(postgres, { id: 5, generation: 4, replicas: { 'gitaly-1': 3, 'gitaly-4': 4 } });
  const jobs = () =>
    database.rows(sql`SELECT job->>'repository_id' AS id, job->>'change' AS change,
      job->>'source_node_storage' AS source, job->>'target_node_storage' AS target
      FROM replication_queue ORDER BY 1, 4`);

  await run();

  const expected = [
    { id: '1', change: 'update', source: 'gitaly-1', target: 'gitaly-2' },
    { id: '1', change: 'update', source: 'gitaly-1', target: 'gitaly-3' },
    { id: '3', change: 'delete_replica', source: null, target: 'gitaly-2' },
    { id: '4', change: 'update', source: 'gitaly-2', target: 'gitaly-1' },
  ];
  assert.deepEqual(await jobs(), expected);
  const [{ msg, scheduled_jobs: scheduled } = {}] = setting.log;
  assert.equal(msg, 'reconciliation jobs scheduled');
  assert.ok(Array.isArray(scheduled));
  assert.equal(scheduled.length, 4);
  const { correlation_id: id, ...logged } = scheduled.find(({ change }) => change === 'delete_replica');
  assert.match(id, /^[\w+/]+=*$/);
  assert.deepEqual(logged, {
    repository_id: 3,
    change: 'delete_replica',
    virtual_storage: 'default',
    relative_path: '3.git',
    target_storage: 'gitaly-2',
  });
  setting.log.length = 0;
  await run();
  assert.deepEqual(await jobs(), expected);
  const [{ level, msg: second } = {}] = setting.log;
  assert.deepEqual([level, second], ['debug', 'reconciliation did not result in any scheduled jobs']);
  const queue = new PostgresQueue(database, setting.logger);
  const taken = await queue.dequeue('default', 'gitaly-2', 10);
  assert.deepEqual(taken.map(({ change }) => change).sort(), ['delete_replica', 'update']);
  assert.equal(taken[0]?.replicaPath, '');

  healthy.clear();
  healthy.add('gitaly-1');
  await run();
  const { msg: last } = setting.log.at(-2) ?? {};
  assert.match(String(last), /^reconciliation skipped for virtual storage/);
});

test('only one Praefect reconciles at a time', { skip }, async () => {
  await using postgres = await startPostgres();
  await using setting = await nodesOf();
  const { database } = postgres;
  for (let id = 1; id <= 50; id++) await record(postgres, { id, generation: 1, replicas: { 'gitaly-1': 1 } });
  const { logger, nodes } = setting;
  const options = { database, nodes, isHealthy: () => true, logger, took: () => {} };

  await Promise.all(Array.from({ length: 5 }, () => reconcile(options)));

  const [row] = await database.rows(sql<{ jobs: number; distinct: number }>`
    SELECT count(*) AS jobs, count(DISTINCT lock_id) AS distinct FROM replication_queue`);
  assert.equal(row?.distinct, 100);
  assert.equal(row?.jobs, 100);
});

test('replicas that are not on their nodes are found, and their records deleted', { skip }, async () => {
  await using postgres = await startPostgres();
  const off = { background_verification: { verification_interval: '0s' } };
  await using cluster = await startCluster({ database: postgres, config: off });
  await using setting = await nodesOf(cluster);
  const { database } = postgres;
  await cluster.connection.repository.createRepository({ repository });
  const { path } =
    (await database.row(sql<{ path: string }>`SELECT replica_path AS path FROM repositories`)) ?? {};
  rmSync(cluster.repositoryPath(3, path ?? ''), { recursive: true });
  await database.run(sql`INSERT INTO storage_repositories
    SELECT virtual_storage, relative_path, 'gitaly-4', 0, repository_id FROM repositories`);
  const counted: string[] = [];
  const options = (deletesRecords: boolean): VerifierOptions => ({
    database,
    nodes: setting.nodes,
    isHealthy: () => true,
    intervalMs: 60_000,
    deletesRecords,
    metrics: {
      dequeued: () => {},
      completed: (_, storage, result) => counted.push(`${storage} ${result}`),
      released: (leases) => counted.push(`released ${leases}`),
    },
    logger: setting.logger,
  });
  const verified = () =>
    database.rows(sql`SELECT storage, verified_at IS NOT NULL AS verified FROM storage_repositories
      WHERE storage <> 'gitaly-4' ORDER BY storage`);

  assert.equal(await verifyReplicas(options(false), NEVER), 3);
  assert.deepEqual(counted.splice(0).sort(), ['gitaly-1 valid', 'gitaly-2 valid', 'gitaly-3 invalid']);
  assert.equal((await verified()).length, 3);
  assert.equal(await verifyReplicas(options(true), NEVER), 0, 'all were verified a moment ago');
  await database.run(sql`UPDATE storage_repositories SET verified_at = now() - interval '2 minutes'
    WHERE storage IN ('gitaly-1', 'gitaly-3')`);
  assert.equal(await verifyReplicas(options(true), NEVER), 2);
  assert.deepEqual(await verified(), [
    { storage: 'gitaly-1', verified: true },
    { storage: 'gitaly-2', verified: true },
  ]);
  const { replicas } = setting.log.find(({ perform_deletions: deletes }) => deletes === true) ?? {};
  assert.deepEqual(replicas, { default: { [repository.relativePath]: ['gitaly-3'] } });

  await database.run(sql`UPDATE storage_repositories SET verified_at = NULL,
    verification_leased_until = now() - interval '1 minute' WHERE storage = 'gitaly-1'`);
  counted.length = 0;
  await releaseLeases(options(true));
  assert.deepEqual(counted, ['released 1']);
  const { msg, leases_released: leases } = setting.log.at(-1) ?? {};
  assert.equal(msg, 'released stale verification leases');
  assert.deepEqual(leases, { default: { [repository.relativePath]: ['gitaly-1'] } });
  assert.equal(await verifyReplicas(options(true), NEVER), 1);
});

// The node stayed healthy, and its replicas were verified again and again, before those of others.
test('replicas of a storage that is gone wait until it is back', { skip }, async () => {
  await using postgres = await startPostgres();
  const off = { background_verification: { verification_interval: '0s' } };
  await using cluster = await startCluster({ database: postgres, config: off });
  await using setting = await nodesOf(cluster);
  const { database } = postgres;
  await cluster.connection.repository.createRepository({ repository });
  const counted: string[] = [];
  const nodes = setting.nodes.get('default') ?? [];
  const serving = () => Promise.all(nodes.map((node) => node.isServing(1000, () => {})));
  const verify = async (healthy: readonly boolean[]): Promise<string[]> => {
    await verifyReplicas(
      {
        database,
        nodes: setting.nodes,
        isHealthy: (node) => healthy[nodes.indexOf(node)] === true,
        intervalMs: 60_000,
        deletesRecords: true,
        metrics: {
          dequeued: () => {},
          completed: (_, storage, result) => counted.push(`${storage} ${result}`),
          released: () => {},
        },
        logger: setting.logger,
      },
      NEVER,
    );
    return counted.splice(0).sort();
  };
  const waiting = () =>
    database.rows(sql`SELECT storage, verification_leased_until AS lease FROM storage_repositories
      WHERE verified_at IS NULL ORDER BY storage`);
  const storage = cluster.repositoryPath(3, '');

  renameSync(storage, `${storage.replace(/\/$/, '')}-away`);
  const beforeHealthCheck = await verify([true, true, true]);
  assert.deepEqual(beforeHealthCheck, ['gitaly-1 valid', 'gitaly-2 valid', 'gitaly-3 error']);
  assert.deepEqual(await waiting(), [{ storage: 'gitaly-3', lease: null }], 'it is not lost');
  await until(async () => (await serving())[2] === false);
  assert.deepEqual(await serving(), [true, true, false]);
  assert.deepEqual(await verify(await serving()), [], 'it is not tried in vain');

  mkdirSync(storage); // a new and empty file system
  await until(async () => (await serving())[2] === true);
  assert.deepEqual(await verify(await serving()), ['gitaly-3 invalid']);
  assert.deepEqual(await waiting(), []);
  const left = await database.rows(sql`SELECT storage FROM storage_repositories ORDER BY storage`);
  assert.deepEqual(left, [{ storage: 'gitaly-1' }, { storage: 'gitaly-2' }], 'the reconciler copies it');
});

test('repositories that the database does not have are logged', { skip }, async () => {
  await using postgres = await startPostgres();
  const off = { repositories_cleanup: { run_interval: '0s' } };
  await using cluster = await startCluster({ database: postgres, nodes: 1, config: off });
  await using setting = await nodesOf(cluster);
  const { database } = postgres;
  await cluster.connection.repository.createRepository({ repository });
  const [node] = setting.nodes.get('default') ?? [];
  assert.ok(node);
  await node.connection.repository.createRepository({
    repository: { storageName: 'gitaly-1', relativePath: 'stray.git' },
  });
  const old = Date.now() / 1000 - 48 * 3600;
  const [row] = await database.rows(sql<{ path: string }>`SELECT replica_path AS path FROM repositories`);
  for (const path of ['stray.git', row?.path ?? '']) utimesSync(cluster.repositoryPath(1, path), old, old);
  const { dbname, host, user } = postgres.config;
  const zone = async (setting: string): Promise<void> =>
    void (await database.run(sql`ALTER DATABASE ${sql.id(dbname)} ${sql.raw(setting)}`));
  await using resources = new AsyncDisposableStack();
  await zone("SET timezone TO 'Asia/Tokyo'");
  resources.defer(() => zone('RESET timezone'));
  const inTokyo = resources.use(
    await Database.open({ host, user, database: dbname, ssl: false, mayFallBack: false }),
  );
  const options = {
    database: inTokyo,
    nodes: new Map([['default', [node]]]),
    runIntervalMs: 60_000,
    batchSize: 1,
    logger: setting.logger,
  };

  await searchOneStorage(options, NEVER);
  await searchOneStorage(options, NEVER);

  const found = setting.log.filter(({ msg }) => msg === 'repository is not managed by praefect');
  assert.deepEqual(
    found.map(({ relative_replica_path: path }) => path),
    ['stray.git'],
  );
  const ran = await inTokyo.rows(sql`
    SELECT storage, last_run BETWEEN now() - interval '1 minute' AND now() AS is_recent, triggered_at
    FROM storage_cleanups`);
  assert.deepEqual(ran, [{ storage: 'gitaly-1', is_recent: true, triggered_at: null }]);
});
