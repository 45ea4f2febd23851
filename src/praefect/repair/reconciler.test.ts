import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { reconcile } from './reconciler.ts';

// Only the names of nodes matter here.
const nodes = ['a', 'b', 'c'].map((storage) => ({ storage })) as GitalyNode[];
const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });

interface Case {
  readonly name: string;
  readonly healthy?: string;
  /** Generations by storage. */
  readonly replicas: Readonly<Record<string, number>>;
  readonly assigned?: string;
  /** Jobs in the queue: state, change, source and target, and their repository if it is another. */
  readonly queued?: readonly string[];
  /**
   * The jobs that are added: change, source and target; `oneOf` lists alternatives of a random
   * choice.
   */
  readonly expected: readonly string[] | { readonly oneOf: readonly string[] };
}

const UNFINISHED = ['ready', 'in_progress', 'failed'];
const FINISHED = ['completed', 'dead'];

// The cases and results are those of Gitaly 19.0.
const CASES: readonly Case[] = [
  { name: 'all are up to date', replicas: { a: 0, b: 0, c: 0 }, expected: [] },
  {
    name: 'replicas that are behind or missing get copies',
    replicas: { a: 1, b: 0 },
    expected: ['update a b', 'update a c'],
  },
  {
    name: 'nothing is copied when who is up to date is down',
    healthy: 'bc',
    replicas: { a: 1, b: 0 },
    expected: [],
  },
  {
    name: 'nothing is copied to a node that is down',
    healthy: 'ac',
    replicas: { a: 1, b: 0 },
    expected: ['update a c'],
  },
  {
    name: 'nothing is created on a node that is down',
    healthy: 'ab',
    replicas: { a: 1, b: 0 },
    expected: ['update a b'],
  },
  {
    name: 'no copy is queued twice',
    replicas: { a: 1, b: 0 },
    queued: ['ready update a c'],
    expected: ['update a b'],
  },
  {
    name: 'a replica that will be removed is not copied',
    replicas: { a: 1, b: 0 },
    queued: ['ready delete_replica - a'],
    expected: [],
  },
  {
    name: 'finished removals do not keep a replica from being copied',
    healthy: 'ab',
    replicas: { a: 1, b: 0 },
    queued: FINISHED.flatMap((state) => [`${state} delete - a`, `${state} delete_replica - a`]),
    expected: ['update a b'],
  },
  {
    name: 'a copy is queued again after those that are finished',
    healthy: 'ab',
    replicas: { a: 1, b: 0 },
    queued: FINISHED.map((state) => `${state} update a b`),
    expected: ['update a b'],
  },
  {
    name: 'other jobs for a node do not keep it from a copy',
    healthy: 'ac',
    replicas: { a: 1, b: 1 },
    queued: ['completed delete a c', 'dead delete a c', 'ready delete a c', 'in_progress delete a c'],
    expected: ['update a c'],
  },
  {
    name: 'a replica that is not assigned is copied to those that are',
    replicas: { a: 1, c: 0 },
    assigned: 'bc',
    expected: ['update a b', 'update a c'],
  },
  {
    name: 'only assigned nodes get copies',
    replicas: { a: 1, b: 0 },
    assigned: 'ab',
    expected: ['update a b'],
  },
  {
    name: 'a replica that is not assigned is removed',
    replicas: { a: 2, c: 0 },
    assigned: 'a',
    expected: ['delete_replica - c'],
  },
  {
    name: 'of several replicas that are not assigned the oldest is removed first',
    replicas: { a: 3, b: 1, c: 0 },
    assigned: 'a',
    expected: ['delete_replica - c'],
  },
  {
    name: 'an older replica on a node that is down keeps a newer one that is not assigned',
    healthy: 'ab',
    replicas: { a: 2, b: 2, c: 1 },
    assigned: 'a',
    expected: [],
  },
  {
    name: 'one replica is removed at a time',
    replicas: { a: 2, b: 0, c: 0 },
    assigned: 'a',
    expected: { oneOf: ['delete_replica - b', 'delete_replica - c'] },
  },
  {
    name: 'nothing is to be done for the only assigned one',
    replicas: { a: 0 },
    assigned: 'a',
    expected: [],
  },
  {
    name: 'a replica that is not assigned is removed when it is as new as the others',
    replicas: { a: 0, b: 0, c: 0 },
    assigned: 'ab',
    expected: ['delete_replica - c'],
  },
  {
    name: 'the only replica is not removed',
    replicas: { b: 0 },
    assigned: 'a',
    expected: ['update b a'],
  },
  {
    name: 'the only replica, on a node that is down, is not removed',
    healthy: 'ab',
    replicas: { c: 0 },
    assigned: 'a',
    expected: [],
  },
  {
    name: 'a replica that is newer than the assigned one is not removed',
    replicas: { a: 0, b: 1 },
    assigned: 'a',
    expected: ['update b a'],
  },
  ...UNFINISHED.flatMap((state) => [
    {
      name: `a replica is not removed while it is the target of a job: ${state}`,
      replicas: { a: 0, b: 0 },
      assigned: 'a',
      queued: [`${state} update - b`],
      expected: [],
    },
    {
      name: `a replica is not removed while it is the source of a job: ${state}`,
      replicas: { a: 0, b: 0 },
      assigned: 'a',
      queued: [`${state} update b -`],
      expected: [],
    },
    {
      name: `a replica is not removed while the removal of another is ${state}`,
      replicas: { a: 1, b: 0, c: 0 },
      assigned: 'a',
      queued: [`${state} delete_replica - b`],
      expected: [],
    },
  ]),
  {
    name: 'finished jobs, and those of other repositories, do not keep a replica',
    replicas: { a: 0, b: 0 },
    assigned: 'a',
    queued: [
      'ready update b - 2',
      'failed delete_replica - a 2',
      ...FINISHED.flatMap((state) => [`${state} update b -`, `${state} delete_replica - b`]),
    ],
    expected: ['delete_replica - b'],
  },
  ...['a', ''].map((assigned) => ({
    name: `a node that is not configured has the newest replica, assigned: ${assigned || 'none'}`,
    replicas: { a: 0, gone: 1 },
    assigned,
    expected: [],
  })),
  ...['a', ''].map((assigned) => ({
    name: `a node that is not configured has the only replica, assigned: ${assigned || 'none'}`,
    replicas: { gone: 1 },
    assigned,
    expected: [],
  })),
];

describe('jobs that the reconciler queues', { skip: withoutPostgres, concurrency: false }, () => {
  let postgres: TestDatabase;

  before(async () => {
    postgres = await startPostgres();
  });

  beforeEach(async () => {
    await postgres.database.run(
      sql`TRUNCATE repositories, replication_queue, replication_queue_lock CASCADE`,
    );
  });

  after(() => postgres?.[Symbol.asyncDispose]());

  for (const { name, healthy = 'abc', replicas, assigned = '', queued = [], expected } of CASES)
    test(name, async () => {
      const { database } = postgres;
      const newest = Math.max(...Object.values(replicas));
      await database.run(sql`INSERT INTO repositories VALUES
        ('default', 'x.git', ${newest}, NULL, 1, 'x'), ('default', 'y.git', 0, NULL, 2, 'y')`);
      await database.run(sql`INSERT INTO storage_repositories
        SELECT 'default', 'y.git', storage, 0, 2 FROM unnest(ARRAY['a', 'b', 'c']) AS each(storage)`);
      for (const [storage, generation] of Object.entries(replicas))
        await database.run(
          sql`INSERT INTO storage_repositories VALUES ('default', 'x.git', ${storage}, ${generation}, 1)`,
        );
      for (const storage of assigned)
        await database.run(
          sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', ${storage}, 1)`,
        );
      for (const [id, job] of queued.entries()) {
        const [state = '', change = '', source = '', target = '', repository = '1'] = job.split(' ');
        await database.run(sql`INSERT INTO replication_queue (id, state, job) VALUES (${-1 - id},
          ${state}::replication_job_state, jsonb_build_object('change', ${change}::text,
            'virtual_storage', 'default', 'relative_path', ${`${repository}.git`}::text,
            'repository_id', ${repository}::bigint, 'source_node_storage', ${source}::text,
            'target_node_storage', ${target}::text))`);
      }

      await reconcile({
        database,
        nodes: new Map([['default', nodes]]),
        isHealthy: ({ storage }) => healthy.includes(storage),
        logger,
        took: () => {},
      });

      const rows = await database.rows(sql<{ job: string }>`
        SELECT concat_ws(' ', job->>'change', coalesce(job->>'source_node_storage', '-'),
          job->>'target_node_storage') AS job
        FROM replication_queue WHERE id > 0 ORDER BY job->>'target_node_storage'`);
      const jobs = rows.map(({ job }) => job);
      if ('oneOf' in expected) {
        const [job = ''] = jobs;
        assert.equal(jobs.length, 1);
        assert.ok(expected.oneOf.includes(job), job);
      } else assert.deepEqual(jobs, expected);
    });
});
