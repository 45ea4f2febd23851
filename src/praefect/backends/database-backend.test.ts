import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf, GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { all, connectTo } from '#testkit/clients/in-process-rpc';
import { holdPeriodic, startBackend } from '#testkit/praefect/started-backend';
import { replaceMethod } from '#testkit/replace-method';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { withoutPostgres as skip, startPostgres, type TestDatabase } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { PraefectInfoService } from '#wire/gen/praefect_pb';
import { sql } from '../database/database.ts';
import { Election } from '../elections/election.ts';
import { HealthManager } from '../elections/health-manager.ts';
import type { ReplicationJob } from '../model/job.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Secret of webhooks: 32 bytes. */
const SECRET = Buffer.alloc(32, 'secret').toString('base64');
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, replicaPath: 'x', source: 'a', target: 'b', correlationId: 'id' },
  ...repository,
};
/** Intervals of the clean-up of jobs, of their locks and of the locks of writes. */
const CLEANING = [30_000, 40_000, 1_800_000];
/** Settings without other work in the background. */
const QUIET = {
  reconciliation: { scheduling_interval: '0s' },
  background_verification: { verification_interval: '0s' },
  repositories_cleanup: { run_interval: '0s' },
};

let postgres: TestDatabase;
before(async () => {
  if (!skip) postgres = await startPostgres();
});
after(() => postgres?.[Symbol.asyncDispose]());

async function count(table: string): Promise<number> {
  const row = await postgres.database.row(
    sql<{ count: number }>`SELECT count(*)::int AS count FROM ${sql.table(table)}`,
  );
  return row?.count ?? -1;
}

test('jobs and locks of Praefects that are gone are cleaned up', { skip }, async (context) => {
  const { database } = postgres;
  const timers = holdPeriodic(context);
  const { backend } = await startBackend(context, postgres, { keys: QUIET });
  assert.deepEqual(timers.delays(), CLEANING);
  await backend.queue.enqueue(job);
  await backend.queue.dequeue('default', 'b', 1);
  await database.run(sql`UPDATE replication_queue_job_lock 
    SET triggered_at = now() AT TIME ZONE 'UTC' - interval '61 seconds'`);
  await database.run(sql`INSERT INTO replication_queue_lock (id) VALUES ('unused')`);
  await database.run(sql`INSERT INTO repository_reference_write_locks (lock_id, holder_txn_id, expired_at)
    VALUES ('old', '1', now() - interval '1 day')`);

  timers.fire(30_000);
  await until(async () => (await count('replication_queue_job_lock')) === 0);
  assert.deepEqual(await database.row(sql`SELECT state FROM replication_queue`), { state: 'failed' });
  assert.equal(await count('replication_queue_lock'), 2);
  timers.fire(1_800_000);
  await until(async () => (await count('replication_queue_lock')) === 1);
  assert.equal(await count('repository_reference_write_locks'), 1);
  timers.fire(40_000);
  await until(async () => (await count('repository_reference_write_locks')) === 0);
  await database.run(sql`TRUNCATE replication_queue, replication_queue_lock CASCADE`);
});

test('a clean-up that fails is logged, and tried again', { skip }, async (context) => {
  const { database } = postgres;
  const timers = holdPeriodic(context);
  const { lines } = await startBackend(context, postgres, { keys: QUIET });
  await database.run(sql`ALTER TABLE replication_queue_job_lock RENAME TO moved`);
  try {
    for (const interval of [30_000, 1_800_000]) {
      timers.fire(interval);
      await until(() => timers.delays().includes(interval), `it is planned again: ${interval}`);
    }
  } finally {
    await database.run(sql`ALTER TABLE moved RENAME TO replication_queue_job_lock`);
  }

  const error = 'relation "replication_queue_job_lock" does not exist';
  assert.deepEqual(
    lines.filter(({ level }) => level === 'error').map((line) => [line.msg, line.error]),
    [
      ['background periodical acknowledgement failed', error],
      ['clean-up of replication locks failed', error],
    ],
  );
});

const STRATEGIES = [
  ['per_repository', {}],
  [
    'sql',
    {
      i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
      failover: {
        ...{ election_strategy: 'sql', bootstrap_interval: '1ms', monitor_interval: '50ms' },
        ...{ error_threshold_window: '1h', read_error_threshold_count: 1n },
        write_error_threshold_count: 1n,
      },
    },
  ],
] as const;

for (const [strategy, keys] of STRATEGIES)
  test(`of the processes of a Praefect the first one works in the background: ${strategy}`, {
    skip,
  }, async (context) => {
    const family = new LinkedFamily();
    const timers = holdPeriodic(context);
    const supervisor = await startBackend(context, postgres, { family: family.supervisor, keys });
    const own = timers.delays();
    const verifying = strategy === 'sql' ? [] : [2000, 10_000];
    assert.deepEqual(own, [0, 0, ...verifying, 30_000, 40_000, 1_800_000]);

    const worker = await startBackend(context, postgres, { family: family.start(), keys });

    assert.deepEqual(timers.delays(), own);
    assert.deepEqual(
      worker.checked.map(({ checks }) => checks),
      [0, 0],
    );
    const [a, b] = worker.checked.map(({ node }) => node);
    assert.ok(a && b && worker.backend.health.isHealthy(a), 'the worker knows what the first has found');
    supervisor.checked[0].failure = new Error('refused');
    await until(() => !worker.backend.health.isHealthy(a), 'the worker gets the result of the next check');
    assert.equal(worker.backend.health.isHealthy(b), true);
  });

test('a start waits for the first check of the nodes, until it is aborted', { skip }, async (context) => {
  const { database } = postgres;
  const abort = new AbortController();
  await database.run(sql`ALTER TABLE node_status RENAME TO moved`);
  try {
    const starting = startBackend(context, postgres, { signal: abort.signal });
    abort.abort();
    await assert.rejects(starting, { message: 'stopped before the nodes were checked' });
  } finally {
    await database.run(sql`ALTER TABLE moved RENAME TO node_status`);
  }
  await startBackend(context, postgres);
  assert.equal(await count('node_status'), 2);
});

test('a database that stores no UTF-8 is refused', { skip }, async (context) => {
  const name = 'ascii';
  await postgres.database.run(
    sql`CREATE DATABASE ${sql.id(name)} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  const other = { ...postgres, config: { ...postgres.config, dbname: name } };
  await assert.rejects(startBackend(context, other), {
    message: /^the encoding of the database is SQL_ASCII/,
  });
  await postgres.database.run(sql`DROP DATABASE ${sql.id(name)}`);
});

// Born failing: the start waited for its first check of the nodes, logged an error each second and
// never said what to do.
test('a database without tables is refused, with the command that makes them', { skip }, async (context) => {
  const name = 'without_tables';
  await postgres.database.run(sql`CREATE DATABASE ${sql.id(name)} TEMPLATE template0`);
  const other = { ...postgres, config: { ...postgres.config, dbname: name } };
  await assert.rejects(startBackend(context, other), {
    message: "the database has no tables of Praefect: create them with 'praefect --config FILE sql-migrate'",
  });
  await postgres.database.run(sql`DROP DATABASE ${sql.id(name)}`);
});

/** Records the errors of calls that count for the health of a node. */
function countedErrors(context: TestContext): string[] {
  const counted: string[] = [];
  for (const { prototype } of [HealthManager, Election]) {
    const count = ({ storage }: GitalyNode, ...rest: unknown[]): void =>
      void counted.push(`${storage} ${codeOf(rest.at(-1))}`);
    replaceMethod(context, prototype, 'callFailed', count as never);
  }
  return counted;
}

for (const [strategy, keys] of STRATEGIES)
  test(`errors of calls reach what checks the nodes: ${strategy}`, { skip }, async (context) => {
    const counted = countedErrors(context);
    const family = new LinkedFamily();
    const supervisor = await startBackend(context, postgres, { family: family.supervisor, keys });
    const worker = await startBackend(context, postgres, { family: family.start(), keys });
    const own = await startBackend(context, postgres, { keys });
    const failed = async ({ backend, checked }: typeof own): Promise<readonly string[]> => {
      for (const code of ['INTERNAL', 'UNAVAILABLE'] as const)
        backend.onNodeError(checked[1].node, 'accessor', new GitalyError(code, 'failed'));
      await until(() => counted.includes('b UNAVAILABLE'));
      return counted.splice(0);
    };

    assert.deepEqual(await failed(own), ['b INTERNAL', 'b UNAVAILABLE']);
    assert.deepEqual(await failed(supervisor), ['b INTERNAL', 'b UNAVAILABLE']);
    // A worker only passes on what may count.
    const passed = strategy === 'sql' ? ['b INTERNAL', 'b UNAVAILABLE'] : ['b UNAVAILABLE'];
    assert.deepEqual(await failed(worker), passed);
  });

for (const [strategy, keys] of STRATEGIES)
  test(`routes, the primary and the status follow from the records: ${strategy}`, {
    skip,
  }, async (context) => {
    const { database } = postgres;
    await database.run(sql`TRUNCATE repositories, node_status, shard_primaries CASCADE`);
    const { backend, checked } = await startBackend(context, postgres, { keys });
    const { router, services, store } = backend;
    await store.recordCreation({
      ...{ repository, repositoryId: 7, replicaPath: '@cluster/7', primary: 'a' },
      ...{ updated: ['b'], outdated: [], isAssigned: false },
    });
    const forgotten = { ...repository, relativePath: 'none.git' };
    const [a, b] = checked.map(({ node }) => node);

    const written = await router.mutator(repository, repository.relativePath);
    const maintained = await router.maintenance(repository);
    const read = await router.accessor(repository, { onPrimary: true });

    assert.deepEqual([written.primary, written.secondaries], [a, [b]]);
    assert.deepEqual([written.replicaPath, written.additionalReplicaPath], ['@cluster/7', '@cluster/7']);
    assert.deepEqual([maintained.nodes, maintained.replicaPath], [[a, b], '@cluster/7']);
    assert.deepEqual([read.node, read.replicaPath], [a, '@cluster/7']);
    assert.deepEqual([await router.exists(repository), await router.exists(forgotten)], [true, false]);
    await using server = connectTo({ services: [...services], interceptors: [] });
    const method = callable(PraefectInfoService.method.repositoryReplicas);
    const asked = all(
      server.channel.invoke(method, [
        { repository: { storageName: 'default', relativePath: repository.relativePath } },
      ]),
    );
    // The primary is found; these nodes have no connections.
    await assert.rejects(asked, (error: Error) => !/get primary|not found/.test(error.message));
    const [status] = (await backend.status?.())?.virtualStorages ?? [];
    assert.deepEqual([status?.name, status?.repositories, status?.unavailable], ['default', 1, 0]);
  });

test('the locks and pauses of one Praefect hold back the writes of others', { skip }, async (context) => {
  const [one, two] = [
    await startBackend(context, postgres, { keys: QUIET }),
    await startBackend(context, postgres, { keys: QUIET }),
  ];
  // A pause that is announced before is not heard.
  const listening = sql`SELECT FROM pg_stat_activity WHERE query = 'LISTEN "gitaly_ts_write_pauses"'`;
  await until(async () => (await postgres.database.rows(listening)).length === 2);
  const locks = [one, two].map(({ backend }) => backend.writeLocks ?? assert.fail());
  const { signal } = new AbortController();
  const held = await locks[0]?.lock(repository, 1n, signal);
  let isLocked = false;
  const next = locks[1]?.lock(repository, 1n, signal).then(async (lock) => {
    isLocked = true;
    await lock.release();
  });
  const pause = await one.backend.pauses.pause(repository);
  // Its notification comes after those of all earlier changes.
  await until(async () => {
    const begun = two.backend.pauses.write(repository, signal).then((write) => write[Symbol.dispose]());
    return (await Promise.race([begun, turn('held back')])) === 'held back';
  });
  assert.equal(isLocked, false);

  await pause[Symbol.asyncDispose]();
  await held?.release();

  await next;
  (await two.backend.pauses.write(repository, signal))[Symbol.dispose]();
});

test('a write is answered when all processes have forgotten the replicas', { skip }, async (context) => {
  const family = new LinkedFamily();
  const { backend } = await startBackend(context, postgres, { family: family.supervisor, keys: QUIET });
  const worker = family.start();
  await startBackend(context, postgres, { family: worker, keys: QUIET });
  const unblock = worker.block();
  let isAnswered = false;
  const answered = backend.onRecorded(repository).then(() => {
    isAnswered = true;
  });
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.equal(isAnswered, false);

  unblock();

  await answered;
});

test('a feed that is switched off notes no more changes', { skip }, async (context) => {
  const hasTrigger = async (): Promise<boolean> => {
    const trigger = sql`SELECT FROM pg_trigger WHERE tgname = 'gitalyts_feed'`;
    return (await postgres.database.row(trigger)) !== undefined;
  };
  await startBackend(context, postgres, { keys: { ...QUIET, events: { enabled: true } } });
  assert.equal(await hasTrigger(), true);

  await startBackend(context, postgres, { keys: QUIET });

  assert.equal(await hasTrigger(), false);
});

test('a feed that cannot record changes is logged, and ends its streams', { skip }, async (context) => {
  const { database } = postgres;
  const { backend, lines } = await startBackend(context, postgres, {
    keys: { ...QUIET, events: { enabled: true } },
  });
  const problems = () => lines.filter(({ msg }) => msg === 'the change feed could not record a change');
  await database.run(sql`ALTER TABLE gitalyts_feed_changes RENAME TO moved`);
  try {
    await backend.onRecorded(repository);
    await until(() => problems().length > 0);
  } finally {
    await database.run(sql`ALTER TABLE moved RENAME TO gitalyts_feed_changes`);
  }
  assert.equal(problems()[0]?.error, 'relation "gitalyts_feed_changes" does not exist');
  await using server = connectTo({ services: [...backend.services], interceptors: [] });
  const watch = callable(EventService.method.watch);
  const watching = all(server.channel.invoke(watch, [{ storageName: 'default', fromNow: true }]));
  watching.catch(() => {}); // awaited below

  backend.endWatching?.();

  await assert.rejects(watching);
});

test('webhooks have a status in one process, and their problems are logged', { skip }, async (context) => {
  const { database } = postgres;
  const webhook = [{ name: 'ci', url: 'http://127.0.0.1:9/hook', secret: SECRET }];
  const keys = { ...QUIET, events: { enabled: true }, webhook };
  const family = new LinkedFamily();
  await startBackend(context, postgres, { keys: { ...keys, webhook: [] } }); // the tables of the feed
  await database.run(sql`ALTER TABLE gitalyts_feed_sender ADD CONSTRAINT none CHECK (false) NOT VALID`);
  try {
    const { backend, lines } = await startBackend(context, postgres, { family: family.supervisor, keys });
    const worker = await startBackend(context, postgres, { family: family.start(), keys });
    const without = await startBackend(context, postgres, { keys: { ...keys, webhook: [] } });

    await until(() => lines.some(({ msg }) => msg === 'a webhook could not keep its progress'));

    const all = [backend, worker.backend, without.backend];
    assert.deepEqual(
      all.map(({ webhooks }) => webhooks?.()),
      [[], undefined, undefined],
    );
  } finally {
    await database.run(sql`ALTER TABLE gitalyts_feed_sender DROP CONSTRAINT none`);
  }
});
