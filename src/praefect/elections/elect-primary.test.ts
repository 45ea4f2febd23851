import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { electPrimary } from './elect-primary.ts';

const skip = withoutPostgres;

test('concurrent elections agree, and keep a primary that is valid', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const log: string[] = [];
  const logger = createLogger({ format: 'json', level: 'info', stream: { write: (line) => log.push(line) } });
  const elect = () => electPrimary(database, 1, logger);
  assert.equal(await elect(), undefined, 'there is no repository');
  await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, 'gone', 1, 'x')`);
  assert.equal(await elect(), 'gone', 'nobody can replace it');
  await database.run(sql`UPDATE repositories SET "primary" = NULL`);
  assert.equal(await elect(), undefined, 'there is none, and none can be elected');
  await database.run(sql`UPDATE repositories SET "primary" = 'gone'`);
  await database.run(sql`INSERT INTO storage_repositories SELECT 'default', 'x.git', storage, 0, 1
    FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);
  await database.run(sql`INSERT INTO node_status
    (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT 'one', 'default', storage, now(), now() FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);

  const elected = await Promise.all(Array.from({ length: 10 }, elect));

  assert.equal(new Set(elected).size, 1);
  assert.match(elected[0] ?? '', /^[abc]$/);
  assert.equal(log.length, 1);
  assert.match(log[0] ?? '', /"primary node changed".*"previous_primary":"gone"/);
  assert.equal(await elect(), elected[0]);
  await database.run(sql`UPDATE repositories SET "primary" = NULL`);
  assert.match((await elect()) ?? '', /^[abc]$/);
  assert.match(log[1] ?? '', /"primary node changed".*"previous_primary":""/);
});

test('elections wait for one that holds the row, and keep its result', { skip }, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const log: string[] = [];
  const logger = createLogger({ format: 'json', level: 'info', stream: { write: (line) => log.push(line) } });
  await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, 'gone', 1, 'x')`);
  await database.run(sql`INSERT INTO storage_repositories SELECT 'default', 'x.git', storage, 0, 1
    FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);
  await database.run(sql`INSERT INTO node_status
    (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT 'one', 'default', storage, now(), now() FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);
  const waiting = sql<{ count: number }>`SELECT count(*)::int FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;

  const elections = await database.transaction(async (executor) => {
    await sql`UPDATE repositories SET "primary" = 'b' WHERE repository_id = 1`.execute(executor);
    const started = [1, 2].map(() => electPrimary(database, 1, logger));
    await until(async () => (await database.row(waiting))?.count === 2);
    return { started };
  });

  assert.deepEqual(await Promise.all(elections.started), ['b', 'b']);
  assert.deepEqual(log, [], 'none of them has elected');
});

interface Step {
  /** Nodes that the Praefects see. */
  readonly healthy: string;
  /** The nodes of which one is elected; if empty, there is no primary. */
  readonly elected: string;
}

// The cases and results are those of Gitaly 19.0.
const CASES: readonly {
  readonly name: string;
  /** Generations by storage. */
  readonly replicas: Readonly<Record<string, number>>;
  readonly assigned?: string;
  /** Job in this state that removes the replica of `a`. */
  readonly removal?: string;
  readonly steps: readonly Step[];
}[] = [
  {
    name: 'the replica that is up to date is elected',
    replicas: { a: 1, b: 0 },
    steps: [{ healthy: 'abc', elected: 'a' }],
  },
  {
    name: 'a replica that is behind is not elected',
    replicas: { a: 1, b: 0 },
    steps: [{ healthy: 'bc', elected: '' }],
  },
  {
    name: 'a node without a replica is not elected',
    replicas: { a: 0 },
    steps: [{ healthy: 'bc', elected: '' }],
  },
  {
    name: 'any of those that are up to date is elected',
    replicas: { a: 0, b: 0 },
    steps: [{ healthy: 'abc', elected: 'ab' }],
  },
  {
    name: 'another that is up to date follows',
    replicas: { a: 1, b: 1, c: 0 },
    steps: [
      { healthy: 'ac', elected: 'a' },
      { healthy: 'bc', elected: 'b' },
    ],
  },
  {
    name: 'the primary stays when all others are behind',
    replicas: { a: 1, c: 0 },
    steps: [
      { healthy: 'abc', elected: 'a' },
      { healthy: 'bc', elected: 'a' },
    ],
  },
  {
    name: 'an assigned replica follows',
    replicas: { a: 2, b: 2, c: 2 },
    assigned: 'ab',
    steps: [
      { healthy: 'ac', elected: 'a' },
      { healthy: 'bc', elected: 'b' },
    ],
  },
  {
    name: 'one that is not assigned follows when no other can, until one can',
    replicas: { a: 2, b: 2 },
    assigned: 'a',
    steps: [
      { healthy: 'abc', elected: 'a' },
      { healthy: 'bc', elected: 'b' },
      { healthy: 'abc', elected: 'a' },
    ],
  },
  {
    name: 'one that is not assigned stays when the assigned one is behind',
    replicas: { a: 1, b: 2 },
    assigned: 'a',
    steps: [
      { healthy: 'bc', elected: 'b' },
      { healthy: 'abc', elected: 'b' },
    ],
  },
  ...['ready', 'in_progress', 'failed'].map((removal) => ({
    name: `a replica whose removal is ${removal} is not elected`,
    replicas: { a: 0 },
    assigned: 'a',
    removal,
    steps: [{ healthy: 'a', elected: '' }],
  })),
  ...['completed', 'cancelled', 'dead'].map((removal) => ({
    name: `a replica whose removal is ${removal} is elected`,
    replicas: { a: 0 },
    assigned: 'a',
    removal,
    steps: [{ healthy: 'a', elected: 'a' }],
  })),
];

test('elections by generations, health, assignments and removals', { skip }, async (t) => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });
  for (const { assigned = '', name, removal, replicas, steps } of CASES)
    await t.test(name, async () => {
      await database.run(sql`TRUNCATE repositories, replication_queue CASCADE`);
      const generation = Math.max(...Object.values(replicas));
      await database.run(
        sql`INSERT INTO repositories VALUES ('default', 'x.git', ${generation}, NULL, 1, 'x')`,
      );
      for (const [storage, replica] of Object.entries(replicas))
        await database.run(
          sql`INSERT INTO storage_repositories VALUES ('default', 'x.git', ${storage}, ${replica}, 1)`,
        );
      for (const storage of assigned)
        await database.run(
          sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', ${storage}, 1)`,
        );
      if (removal !== undefined)
        await database.run(sql`INSERT INTO replication_queue (state, job) VALUES
          (${removal}::replication_job_state, '{"change": "delete_replica", "virtual_storage": "default",
            "relative_path": "x.git", "repository_id": 1, "target_node_storage": "a"}')`);
      for (const { elected, healthy } of steps) {
        await database.run(sql`TRUNCATE node_status`);
        await database.run(sql`INSERT INTO node_status
          (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
          SELECT 'one', 'default', storage, now(), now()
          FROM unnest(${[...healthy]}::text[]) AS up(storage)`);
        const primary = (await electPrimary(database, 1, logger)) ?? '';
        assert.ok(
          elected === '' ? primary === '' : elected.includes(primary || '-'),
          `${primary} with ${healthy}`,
        );
      }
    });
});
