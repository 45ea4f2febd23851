import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { explained } from '#testkit/praefect/explain-statements';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { type Database, sql } from '../database/database.ts';
import { PostgresQueue } from './postgres-queue.ts';

const skip = withoutPostgres;
const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });

/** Replaces the queue by a removal and a copy for each of some repositories, on the node `b`. */
async function fill(database: Database, repositories: number): Promise<void> {
  await database.run(sql`TRUNCATE replication_queue, replication_queue_lock CASCADE`);
  await database.run(sql`
    INSERT INTO replication_queue_lock (id)
    SELECT 'default|b|r' || i FROM generate_series(1, ${repositories}::int) AS i`);
  for (const change of ['delete', 'update'])
    await database.run(sql`
      INSERT INTO replication_queue (lock_id, job, meta)
      SELECT 'default|b|r' || i, jsonb_build_object(
        'change', ${change}::text, 'virtual_storage', 'default', 'relative_path', 'r' || i,
        'source_node_storage', 'a', 'target_node_storage', 'b'), '{}'
      FROM generate_series(1, ${repositories}::int) AS i`);
}

test('a write adds a job, and a copy ends one, without reading the whole queue', { skip }, async () => {
  await using postgres = await startPostgres();
  await fill(postgres.database, 10_000);
  await postgres.database.run(sql`ANALYZE replication_queue`);
  const { database, fullScans } = explained(postgres.database);
  const queue = new PostgresQueue(database, logger);
  const [taken] = await queue.dequeue('default', 'b', 1);
  assert.ok(taken);
  fullScans();

  await queue.enqueue({ ...taken, change: 'update', relativePath: 'r5000' });
  assert.deepEqual(fullScans(), [], 'a job');
  await queue.acknowledge(taken.id, 'completed');
  assert.deepEqual(
    fullScans().filter((table) => table === 'replication_queue'),
    [],
    'the end of a job',
  );
});

// Praefect copied nothing while some thousand removals and copies waited for a node that was away.
test('the time to take jobs is not quadratic', { skip }, async () => {
  await using postgres = await startPostgres();
  const queue = new PostgresQueue(postgres.database, logger);
  const leastMs = async (repositories: number): Promise<number> => {
    await fill(postgres.database, repositories);
    let least = Number.POSITIVE_INFINITY;
    for (let count = 0; count < 5; count++) {
      const startMs = performance.now();
      assert.equal((await queue.dequeue('default', 'b', 10)).length, 10);
      least = Math.min(least, performance.now() - startMs);
    }
    return least;
  };

  const [few, many] = [await leastMs(500), await leastMs(4000)];

  assert.ok(many < 20 * few, `eight times the jobs take ${many} ms instead of ${few} ms`);
});
