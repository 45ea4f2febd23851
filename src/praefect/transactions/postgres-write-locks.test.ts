import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitFiles } from '#client/index';
import { createLogger } from '#platform/log/logger';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';
import { pooledSettings } from '../database/connection-settings.ts';
import { sql } from '../database/database.ts';
import { DatabaseListener } from '../database/listener.ts';
import { lockMetrics } from '../metrics/lock-metrics.ts';
import { PostgresWriteLocks } from './postgres-write-locks.ts';

const skip = withoutPostgres;
const { signal } = new AbortController();
const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });

/** The locks of one Praefect, with its connection for notifications. */
async function locksOf({ config, database }: TestDatabase) {
  const observer = lockMetrics(new MetricsRegistry(), []);
  const locks = new PostgresWriteLocks({ database, logger, observer });
  const connected = Promise.withResolvers<void>();
  const settings = await pooledSettings({
    ...config,
    port: 0,
    password: undefined,
    sslmode: 'disable',
    sslcert: '',
    sslkey: '',
    sslrootcert: '',
    hostNoProxy: '',
    portNoProxy: 0,
    sessionPooled: {
      host: '',
      port: 0,
      user: '',
      password: undefined,
      dbname: '',
      sslmode: '',
      sslcert: '',
      sslkey: '',
      sslrootcert: '',
    },
  });
  const listener = new DatabaseListener({
    settings,
    handler: locks,
    logger,
    count: (state) => state === 'connected' && connected.resolve(),
  });
  await connected.promise;
  return { locks, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

const rowsOf = ({ database }: TestDatabase) =>
  database.rows(sql<{ lock_id: string }>`SELECT lock_id FROM repository_reference_write_locks`);

test('a write waits for that of another Praefect to the same repository', { skip }, async () => {
  await using postgres = await startPostgres();
  await using first = await locksOf(postgres);
  await using second = await locksOf(postgres);
  const held = await first.locks.lock(repository, 1n, signal);
  const again = await first.locks.lock(repository, 1n, signal);
  assert.deepEqual(await rowsOf(postgres), [{ lock_id: 'default|x.git' }]);

  // The ids of transactions are those of a process.
  const order: string[] = [];
  const waiting = second.locks.lock(repository, 1n, signal).then((lock) => {
    order.push('taken');
    return lock;
  });
  const other = await second.locks.lock({ ...repository, relativePath: 'y.git' }, 2n, signal);
  await other.release();
  await again.renew();
  order.push('released');
  await held.release();
  const taken = await waiting;

  assert.deepEqual(order, ['released', 'taken']);
  await assert.rejects(held.renew(), {
    message: 'renew repo reference write lock (no rows): default|x.git',
  });
  await taken.release();
  assert.deepEqual(await rowsOf(postgres), []);
});

test('an expired lock is taken over, a wait ends with its signal', { skip }, async () => {
  await using postgres = await startPostgres();
  await using first = await locksOf(postgres);
  await using second = await locksOf(postgres);
  await first.locks.lock(repository, 1n, signal);

  const stopping = new AbortController();
  const waiting = second.locks.lock(repository, 2n, stopping.signal);
  stopping.abort(new Error('stopped'));
  await assert.rejects(waiting, { message: 'try lock: wait for lock: stopped' });

  const third = second.locks.lock(repository, 3n, signal);
  await postgres.database.run(
    sql`UPDATE repository_reference_write_locks SET expired_at = now() - interval '1s'`,
  );
  await second.locks.removeExpired();
  await (await third).release();
});

test('writes with the feature flag lock their repository in the database', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 2, praefects: 2 });
  const target = { storageName: 'default', relativePath: 'x.git' };
  await cluster.connection.repository.createRepository({ repository: target });
  const metadata = { 'gitaly-feature-praefect-serialized-write': 'true' };
  await postgres.database.run(sql`CREATE TABLE seen AS SELECT ''::text AS lock_id LIMIT 0`);
  await postgres.database.run(sql`CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO seen VALUES (NEW.lock_id); RETURN NEW; END'`);
  await postgres.database.run(sql`CREATE TRIGGER remember AFTER INSERT ON repository_reference_write_locks
    FOR EACH ROW EXECUTE FUNCTION remember()`);

  const write = async (index: number): Promise<void> => {
    const { connection } = cluster.praefects[index % 2] ?? cluster;
    const request = {
      repository: target,
      user: { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') },
      branchName: Buffer.from(`b${index}`),
      commitMessage: Buffer.from('message'),
      timestamp: { seconds: 1_700_000_000n, nanos: 0 },
    };
    await commitFiles(connection, request, [{ type: 'create', path: 'x', content: 'x' }], { metadata });
  };
  await Promise.all(Array.from({ length: 4 }, (_, index) => write(index)));

  const seen = await postgres.database.rows(sql`SELECT DISTINCT lock_id FROM seen`);
  assert.deepEqual(seen, [{ lock_id: 'default|x.git' }]);
  await until(async () => (await rowsOf(postgres)).length === 0, 'a lock stays');
});
