import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { coordinatedCall, readyNode } from '#testkit/praefect/handlers';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { RefService } from '#wire/gen/ref_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { sql } from '../database/database.ts';
import { PostgresQueue } from '../replication/postgres-queue.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import { RepositoryLookups } from '../store/repository-lookups.ts';
import { Transaction } from '../transactions/transaction.ts';
import { planVotes } from '../transactions/voters.ts';
import type { CoordinatedCallOptions } from './call.ts';
import { planRead } from './coordinator.ts';
import { UnrecordedWrites } from './unrecorded-writes.ts';
import { type EndedWrite, writeFinalizer } from './write-finalizer.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
const other = { ...repository, relativePath: 'b.git' };
const away = new Error('the database is away');

/** A write on `a`, `b` and `c`, on which all have voted, and which `c` has lost. */
async function writeWithout(): Promise<EndedWrite> {
  const { threshold, voters } = planVotes('a', ['b', 'c']);
  const transaction = new Transaction(1n, voters, threshold);
  const { call } = coordinatedCall(RefService.method.updateReferences, {});
  const { signal } = call.context;
  await Promise.all(['a', 'b', 'c'].map((node) => transaction.vote(node, 'x', signal)));
  return {
    ...{ change: 'update', method: call.method, repository, context: call.context, transaction },
    route: {
      ...{ repositoryId: 1, isAssigned: false, replicaPath: '@cluster/a', replicationTargets: [] },
      ...{ additionalReplicaPath: undefined, primary: readyNode('a') },
      secondaries: [readyNode('b'), readyNode('c')],
    },
    errors: new Map([['c', new GitalyError('UNAVAILABLE', 'gone')]]),
  };
}

test('a node that missed a write serves no read when the database, lost at once, is back', {
  skip: withoutPostgres,
}, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const { logger } = lineLogger();
  const store = new PostgresStore(database);
  const queue = new PostgresQueue(database, logger);
  const lookups = new RepositoryLookups(database);
  using unrecorded = new UnrecordedWrites(logger);
  const created = { repository, repositoryId: 1, replicaPath: '@cluster/a', isAssigned: false };
  await store.recordCreation({ ...created, primary: 'a', updated: ['b', 'c'], outdated: [] });
  const recordWrite = writeFinalizer({ store, queue, logger, unrecorded, counted: () => {} });
  const read = coordinatedCall(RepositoryService.method.objectFormat, {
    repository: { storageName: 'default', relativePath: 'a.git' },
  });
  let served: ReadonlySet<string> | undefined;
  const accessor = async () => {
    served = (await lookups.consistentReplicas(repository))?.storages;
    return { node: readyNode('a'), replicaPath: '@cluster/a' };
  };
  const options = {
    ...{ router: { accessor }, unrecorded, metrics: { countRead: () => {} } },
    reachable: { route: ({ find }: { find: () => Promise<unknown> }) => find() },
  } as unknown as CoordinatedCallOptions; // what the plan uses
  // Statements on it fail like those of a database that is shutting down.
  await database.run(sql`ALTER TABLE repositories RENAME TO away`);
  await assert.rejects(recordWrite(await writeWithout()), /^GitalyError: increment generation: /);

  await assert.rejects(planRead(options, read.call), /route repository accessor: increment generation: /);
  assert.equal(served, undefined, 'no node may be chosen yet');
  await database.run(sql`ALTER TABLE away RENAME TO repositories`);
  await planRead(options, read.call);

  assert.deepEqual(served, new Set(['a', 'b']));
  const [job] = await queue.dequeue('default', 'c', 10);
  assert.deepEqual([job?.change, job?.source], ['update', 'a']);
});

test('a write is recorded when the database is back, without any call', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { lines, logger } = lineLogger();
  using unrecorded = new UnrecordedWrites(logger);
  const done: string[] = [];
  let isAway = true;
  // The order among repositories is open.
  const write = (name: string) => async (): Promise<void> => {
    if (isAway) throw away;
    done.push(name);
  };
  unrecorded.add(repository, write('first'), away);
  unrecorded.add(repository, write('second'), away);
  unrecorded.add(other, write('other'), away);

  t.mock.timers.tick(1000);
  await assert.rejects(
    unrecorded.whenRecorded(repository, async () => {}),
    away,
  );
  isAway = false;
  await until(() => {
    t.mock.timers.tick(1000);
    return done.length === 3;
  });

  assert.deepEqual(
    done.filter((name) => name !== 'other'),
    ['first', 'second'],
  );
  await until(() => lines.length === 5);
  assert.deepEqual(lines.map(({ level, relative_path: path, error }) => [level, path, error]).toSorted(), [
    ...['a.git', 'b.git'].map((path) => ['info', path, undefined]),
    ...['a.git', 'a.git', 'b.git'].map((path) => ['warning', path, away.message]),
  ]);
  unrecorded.add(repository, write('third'), away);
  await until(() => {
    t.mock.timers.tick(1000);
    return done.length === 4;
  });
});

test('calls on a repository without such a write do not wait', async () => {
  using unrecorded = new UnrecordedWrites(lineLogger().logger);
  assert.equal(await unrecorded.whenRecorded(repository, async () => 'read'), 'read');
  unrecorded.add(repository, () => Promise.reject(away), away);

  assert.equal(await unrecorded.whenRecorded(other, async () => 'read'), 'read');
});

test('calls that wait for the same writes record them once, before they go on', async () => {
  using unrecorded = new UnrecordedWrites(lineLogger().logger);
  const events: string[] = [];
  const recording = Promise.withResolvers<void>();
  unrecorded.add(
    repository,
    async () => {
      await recording.promise;
      events.push('recorded');
    },
    away,
  );

  const reads = ['one', 'two'].map((name) =>
    unrecorded.whenRecorded(repository, async () => void events.push(name)),
  );
  recording.resolve();
  await Promise.all(reads);

  assert.deepEqual(events, ['recorded', 'one', 'two']);
});

test('a write that the store refuses is not tried again', async () => {
  const { lines, logger } = lineLogger();
  using unrecorded = new UnrecordedWrites(logger);
  const refused = new GitalyError('INTERNAL', 'write to outdated nodes');
  const wrapped = new GitalyError('INTERNAL', 'increment generation', { cause: refused });
  let tries = 0;
  const record = async (): Promise<void> => {
    tries++;
    throw wrapped;
  };

  unrecorded.add(repository, record, wrapped);
  assert.equal(await unrecorded.whenRecorded(repository, async () => tries), 0);
  assert.deepEqual(lines, []);
  unrecorded.add(repository, record, new GitalyError('INTERNAL', 'increment generation', { cause: away }));
  assert.equal(await unrecorded.whenRecorded(repository, async () => tries), 1);
  assert.equal(await unrecorded.whenRecorded(repository, async () => tries), 1);
});

test('the number of writes that are kept is limited, and the log has the rest', async () => {
  const { lines, logger } = lineLogger();
  using unrecorded = new UnrecordedWrites(logger);
  for (let count = 0; count < 10_001; count++)
    unrecorded.add({ ...repository, relativePath: `${count}.git` }, () => Promise.reject(away), away);

  const [error, ...more] = lines.filter(({ level }) => level === 'error');
  assert.equal(error?.relative_path, '10000.git');
  assert.deepEqual(more, []);
});
