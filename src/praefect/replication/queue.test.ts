import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { endOfFailed, type ReplicationJob, type ReplicationQueue } from '../model/job.ts';
import { MemoryQueue } from './memory-queue.ts';
import { PostgresQueue } from './postgres-queue.ts';

const logger = createLogger({ format: 'json', level: 'info', stream: { write: () => {} } });
const job = (relativePath: string, facts: Partial<ReplicationJob> = {}): ReplicationJob => ({
  change: 'update',
  repositoryId: 1,
  virtualStorage: 'default',
  relativePath,
  replicaPath: relativePath,
  source: 'a',
  target: 'b',
  correlationId: 'id',
  ...facts,
});
const pathsOf = (jobs: readonly ReplicationJob[]): string[] => jobs.map(({ relativePath }) => relativePath);

const skip = withoutPostgres;
let postgres: TestDatabase;

before(async () => {
  if (skip === false) postgres = await startPostgres();
});

beforeEach(async () => {
  await postgres?.database.run(
    sql`TRUNCATE replication_queue, replication_queue_lock RESTART IDENTITY CASCADE`,
  );
});

after(() => postgres?.[Symbol.asyncDispose]());

/** Runs a test on each queue. */
function testQueues(name: string, run: (queue: ReplicationQueue) => Promise<void>): void {
  test(`${name}, in memory`, () => run(new MemoryQueue()));
  test(`${name}, in PostgreSQL`, { skip }, () => run(new PostgresQueue(postgres.database, logger)));
}

testQueues('a job from another source waits, too', async (queue) => {
  assert.equal(await queue.enqueue(job('x', { source: 'a' })), true);
  assert.equal(await queue.enqueue(job('x', { source: 'c' })), true, 'a may lack what c has');
  assert.equal(await queue.enqueue(job('x', { source: 'c' })), false);

  for (const source of ['a', 'c']) {
    const [taken] = await queue.dequeue('default', 'b', 1);
    assert.ok(taken);
    assert.equal(taken.source, source);
    await queue.acknowledge(taken.id, 'completed');
  }
  assert.deepEqual(await queue.dequeue('default', 'b', 1), []);
});

test('in memory, jobs do not copy from a storage that needs a copy itself', async () => {
  const queue = new MemoryQueue();
  await queue.enqueue(job('x', { source: 'a', target: 'b' }));
  await queue.enqueue(job('x', { source: 'a', target: 'c' }));
  await queue.enqueue(job('y', { source: 'a', target: 'b' }));

  await queue.enqueue(job('x', { source: 'c', target: 'a' }));

  const sources = async (target: string): Promise<string[]> =>
    (await queue.dequeue('default', target, 9)).map(
      ({ relativePath, source }) => `${relativePath} ${source}`,
    );
  assert.deepEqual(await sources('a'), ['x c']);
  assert.deepEqual(await sources('b'), ['x c', 'y a']);
  assert.deepEqual(await sources('c'), [], 'it has what it would have got');
});

testQueues('jobs come oldest first, one at a time for each repository and target', async (queue) => {
  assert.equal(await queue.enqueue(job('x')), true);
  assert.equal(await queue.enqueue(job('y')), true);
  assert.equal(await queue.enqueue(job('x')), false, 'an equal one waits');
  assert.equal(await queue.enqueue(job('z')), true);
  assert.equal(await queue.enqueue(job('x', { target: 'c' })), true);

  const first = await queue.dequeue('default', 'b', 2);
  assert.deepEqual(
    first.map(({ createdAt: _, ...taken }) => taken),
    [
      { ...job('x'), id: 1, attemptsLeft: 2 },
      { ...job('y'), id: 2, attemptsLeft: 2 },
    ],
  );
  for (const { createdAt } of first) assert.ok(Math.abs(Date.now() - createdAt.getTime()) < 60_000);
  assert.deepEqual(pathsOf(await queue.dequeue('default', 'b', 10)), ['z']);
  assert.deepEqual(pathsOf(await queue.dequeue('default', 'c', 10)), ['x']);
  assert.deepEqual(await queue.dequeue('other', 'b', 10), []);

  // A job that runs may have started before this change.
  assert.equal(await queue.enqueue(job('x')), true);
  assert.deepEqual(await queue.dequeue('default', 'b', 10), []);
  await queue.acknowledge(first[0]?.id ?? 0, 'completed');
  assert.deepEqual(pathsOf(await queue.dequeue('default', 'b', 10)), ['x']);
});

testQueues('a job that fails is tried three times', async (queue) => {
  await queue.enqueue(job('x'));
  for (const left of [2, 1, 0]) {
    const [taken] = await queue.dequeue('default', 'b', 1);
    assert.ok(taken);
    assert.equal(taken.attemptsLeft, left);
    await queue.acknowledge(taken.id, endOfFailed(taken, true));
  }
  assert.deepEqual(await queue.dequeue('default', 'b', 1), []);
  assert.equal(await queue.enqueue(job('x')), true);
});

testQueues('a job that has failed does not stand for a later one', async (queue) => {
  await queue.enqueue(job('x'));
  const [first] = await queue.dequeue('default', 'b', 1);
  await queue.acknowledge(first?.id ?? 0, 'failed');
  assert.equal(await queue.enqueue(job('x')), true);

  const [again] = await queue.dequeue('default', 'b', 10);
  assert.deepEqual([again?.id, again?.attemptsLeft], [first?.id, 1]);
  await queue.acknowledge(again?.id ?? 0, 'dead');
  const [later] = await queue.dequeue('default', 'b', 10);
  assert.equal(later?.attemptsLeft, 2);
});

testQueues('a completed job has done the equal ones from before it was taken', async (queue) => {
  await queue.enqueue(job('x'));
  const [first] = await queue.dequeue('default', 'b', 1);
  await queue.acknowledge(first?.id ?? 0, 'failed');
  await queue.enqueue(job('x'));
  await queue.enqueue(job('y', { source: 'c' }));
  const [again, other] = await queue.dequeue('default', 'b', 10);
  await queue.acknowledge(other?.id ?? 0, 'failed');
  await queue.enqueue(job('y'));
  const [fromC] = await queue.dequeue('default', 'b', 10);

  await queue.acknowledge(again?.id ?? 0, 'completed');
  await queue.acknowledge(fromC?.id ?? 0, 'completed');

  const rest = await queue.dequeue('default', 'b', 10);
  assert.deepEqual(
    rest.map(({ relativePath, source }) => [relativePath, source]),
    [['y', 'a']],
    'a copy of another source is another job',
  );
});

// Symptom: a node lacked the last write of many until the next one, or the reconciler.
testQueues('a job that waits for one that runs does not stand for a later write', async (queue) => {
  await queue.enqueue(job('x'));
  const [first] = await queue.dequeue('default', 'b', 1);
  assert.equal(await queue.enqueue(job('x')), true);
  await queue.acknowledge(first?.id ?? 0, 'failed');
  const [again] = await queue.dequeue('default', 'b', 1);
  assert.equal(again?.id, first?.id, 'the other one waits, and ends with it');

  // The job that runs may have made its copy already.
  assert.equal(await queue.enqueue(job('x')), true);
  assert.equal(await queue.enqueue(job('x')), false);
  await queue.acknowledge(again?.id ?? 0, 'completed');

  assert.deepEqual(pathsOf(await queue.dequeue('default', 'b', 10)), ['x']);
});

// Symptom: a failed removal came again after the copy of a new repository at the path, whose files
// it removed, while its replica counted as up to date.
testQueues('a copy waits for the removal of the repository before it', async (queue) => {
  await queue.enqueue(job('x', { change: 'delete' }));
  await queue.enqueue(job('x', { repositoryId: 2 }));

  for (const end of ['failed', 'completed'] as const) {
    const jobs = await queue.dequeue('default', 'b', 10);
    assert.deepEqual(
      jobs.map(({ change }) => change),
      ['delete'],
    );
    await queue.acknowledge(jobs[0]?.id ?? 0, end);
  }

  const [copy] = await queue.dequeue('default', 'b', 10);
  assert.equal(copy?.change, 'update');
  await queue.acknowledge(copy.id, 'failed');
  await queue.enqueue(job('x', { change: 'delete' }));
  assert.equal(
    (await queue.dequeue('default', 'b', 10))[0]?.change,
    'update',
    'a later one does not precede',
  );
});

testQueues('only a job that was taken is acknowledged', async (queue) => {
  await queue.enqueue(job('x'));
  await queue.acknowledge(1, 'completed');
  const [taken] = await queue.dequeue('default', 'b', 10);
  assert.equal(taken?.id, 1);
});

test('the removal of a replica is tried until it succeeds', { skip }, async () => {
  const queue = new PostgresQueue(postgres.database, logger);
  await queue.enqueue(job('x', { change: 'delete_replica', source: '' }));
  for (let attempt = 0; attempt < 5; attempt++) {
    const [taken] = await queue.dequeue('default', 'b', 1);
    assert.equal(taken?.attemptsLeft, 3);
    assert.ok(taken);
    await queue.acknowledge(taken.id, endOfFailed(taken, true));
  }
});

test('Praefects that take jobs at the same time get different ones', { skip }, async () => {
  const queues = [1, 2, 3, 4].map(() => new PostgresQueue(postgres.database, logger));
  const paths = Array.from({ length: 40 }, (_, index) => `repository-${index}`);
  await Promise.all(paths.map((path) => queues[0]?.enqueue(job(path))));

  const taken: string[] = [];
  for (let round = 0; round < 4; round++) {
    const batches = await Promise.all(queues.map((queue) => queue.dequeue('default', 'b', 10)));
    taken.push(...batches.flatMap(pathsOf));
  }

  assert.deepEqual(taken.toSorted(), paths.toSorted());
});

test('jobs of a Praefect that is gone are given to others', { skip }, async () => {
  const { database } = postgres;
  const queue = new PostgresQueue(database, logger);
  await queue.enqueue(job('x'));
  await queue.enqueue(job('y'));
  const taken = await queue.dequeue('default', 'b', 10);
  await using _kept = queue.keep(taken);
  assert.equal(await queue.acknowledgeStale(60_000), 0);
  await database.run(sql`UPDATE replication_queue_job_lock
    SET triggered_at = triggered_at - interval '2 minutes'
    WHERE lock_id LIKE '%x'`);

  assert.equal(await queue.acknowledgeStale(60_000), 1);

  const [again] = await queue.dequeue('default', 'b', 10);
  assert.equal(again?.relativePath, 'x');
  assert.equal(again?.attemptsLeft, 1);
  await database.run(sql`UPDATE replication_queue SET attempt = 0`);
  await database.run(
    sql`UPDATE replication_queue_job_lock SET triggered_at = triggered_at - interval '2 minutes'`,
  );
  assert.equal(await queue.acknowledgeStale(60_000), 2);
  assert.deepEqual(await database.rows(sql`SELECT id FROM replication_queue`), [], 'no attempts were left');
  assert.equal(await queue.removeUnusedLocks(), 2);
});

// Symptom: no Praefect took another job of the repository for this target.
test('jobs of a repository that end at the same moment do not block it for good', { skip }, async () => {
  const { database } = postgres;
  const queue = new PostgresQueue(database, logger);
  await queue.enqueue(job('x'));
  await queue.enqueue(job('x', { change: 'delete_replica', source: '' }));
  const taken = await queue.dequeue('default', 'b', 10);
  assert.equal(taken.length, 2);
  let ends: readonly Promise<void>[] = [];

  // Each end sees the other job as running.
  await database.transaction(async (executor) => {
    await sql`SELECT FROM replication_queue FOR UPDATE`.execute(executor);
    ends = taken.map(({ id }) => queue.acknowledge(id, 'completed'));
    await until(async () => {
      const waiting = await database.rows(sql`
        SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%replication_queue%'`);
      return waiting.length === 2;
    });
  });
  await Promise.all(ends);
  await queue.enqueue(job('x'));
  await queue.acknowledgeStale(60_000);

  assert.deepEqual(pathsOf(await queue.dequeue('default', 'b', 10)), ['x']);
});
