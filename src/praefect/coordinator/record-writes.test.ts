import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { coordinatedCall, readyNode } from '#testkit/praefect/handlers';
import { RepositoryService } from '#wire/gen/repository_pb';
import type { ReplicationJob } from '../model/job.ts';
import { Transaction } from '../transactions/transaction.ts';
import { planVotes } from '../transactions/voters.ts';
import type { RecordChange } from './transactional-methods.ts';
import { UnrecordedWrites } from './unrecorded-writes.ts';
import { type EndedWrite, type FinalizerOptions, writeFinalizer } from './write-finalizer.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
const { signal } = new AbortController();
const gone = new GitalyError('UNAVAILABLE', 'gone');
const failed = new GitalyError('INTERNAL', 'disk full');

interface Ending {
  readonly change?: RecordChange;
  readonly errors?: Readonly<Record<string, Error>>;
  readonly votes?: boolean;
  readonly replicaPath?: string;
  readonly replicationTargets?: readonly string[];
}

/** A write on `a`, `b` and `c`, on which all have voted. */
async function ended({ votes = true, ...ending }: Ending = {}) {
  const { change = 'update', errors = {}, replicaPath = '@cluster/a', replicationTargets = [] } = ending;
  const { threshold, voters } = planVotes('a', ['b', 'c']);
  const transaction = new Transaction(1n, voters, threshold);
  await Promise.all(['a', 'b', 'c'].map((node) => transaction.vote(node, 'x', signal)));
  const { call, leave } = coordinatedCall(RepositoryService.method.writeRef, {});
  const write: EndedWrite = {
    ...{ change, repository, method: call.method, context: call.context },
    route: {
      ...{
        repositoryId: 7,
        isAssigned: true,
        replicaPath,
        additionalReplicaPath: undefined,
        replicationTargets,
      },
      primary: readyNode('a'),
      secondaries: [readyNode('b'), readyNode('c')],
    },
    errors: new Map(Object.entries(errors)),
    transaction: votes ? transaction : undefined,
  };
  return { write, leave };
}

/** Records a write, and the steps that are taken for it. */
async function record({ write }: { readonly write: EndedWrite }, options: Partial<FinalizerOptions> = {}) {
  const { lines, logger } = lineLogger();
  const done: unknown[][] = [];
  const jobs: ReplicationJob[] = [];
  const note =
    (name: string) =>
    async (...args: unknown[]) => {
      await turn();
      done.push([name, ...args]);
    };
  const store = {
    recordCreation: note('creation'),
    recordRemoval: note('removal'),
    recordWrite: async (facts: { readonly updated: readonly string[] }) => {
      done.push(['write', facts]);
      return ['a', ...facts.updated];
    },
  };
  const queue = {
    enqueue: async (job: ReplicationJob) => {
      await turn();
      return jobs.push(job) > 0;
    },
  };
  const run = writeFinalizer({
    ...{ store, queue, logger, unrecorded: new UnrecordedWrites(logger) },
    counted: (...args: unknown[]) => void done.push(['counted', ...args]),
    onRecorded: note('recorded'),
    onQueued: (...args: unknown[]) => void done.push(['queued', ...args]),
    ...options,
  } as unknown as FinalizerOptions); // it uses no other methods
  const failure = await run(write).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { done, jobs, lines, failure };
}

const named = (done: readonly unknown[][], name: string) =>
  done.filter(([each]) => each === name).map(([, ...args]) => args);

test('a write is recorded, counted, and copied to those that lack it', async () => {
  const ending = { errors: { c: failed }, replicationTargets: ['d'] };
  const { done, failure, jobs, lines } = await record(await ended(ending));

  assert.equal(failure, undefined);
  assert.deepEqual(named(done, 'counted').toSorted(), [
    ['node-error-status', 1],
    ['outdated', 1],
    ['updated', 1],
  ]);
  const facts = {
    repository,
    repositoryId: 7,
    primary: 'a',
    updated: ['b'],
    outdated: ['d', 'c'],
    successors: [],
  };
  assert.deepEqual(named(done, 'write'), [[facts]]);
  assert.deepEqual(named(done, 'recorded'), [[repository]]);
  const job = {
    ...{ change: 'update', repositoryId: 7, ...repository, replicaPath: '@cluster/a' },
    ...{ source: 'a', correlationId: 'id' },
  };
  assert.deepEqual(jobs, [
    { ...job, target: 'd' },
    { ...job, target: 'c' },
  ]);
  assert.deepEqual(named(done, 'queued'), [
    ['default', 'd'],
    ['default', 'c'],
  ]);
  assert.partialDeepStrictEqual(lines, [
    {
      msg: 'transactional node states',
      'grpc.method': 'WriteRef',
      'transaction.primary': 'a',
      'transaction.secondaries': { outdated: ['d'], updated: ['b'], 'node-error-status': ['c'] },
    },
    {
      msg: 'queueing replication jobs',
      'replication.cause': '/gitaly.RepositoryService/WriteRef',
      'replication.change': 'update',
      'replication.primary': 'a',
      'replication.updated': ['b'],
      'replication.outdated': ['d', 'c'],
    },
  ]);
});

test('a job that is queued already is logged and not counted', async () => {
  const queue = { enqueue: async () => false } as unknown as FinalizerOptions['queue'];
  const { done, lines } = await record(await ended({ replicationTargets: ['d'] }), { queue });

  assert.deepEqual(named(done, 'queued'), []);
  assert.partialDeepStrictEqual(lines.at(-1), { msg: 'replication job is already queued', target: 'd' });
});

test('a write without votes is copied to all, and logged without states of votes', async () => {
  const { jobs, lines } = await record(await ended({ votes: false }));

  assert.deepEqual(
    jobs.map(({ target }) => target),
    ['b', 'c'],
  );
  assert.equal(lines.length, 1);
  assert.equal(Object.hasOwn(lines[0] ?? {}, 'replication.updated'), false);
});

test('a write on all nodes queues nothing, and logs no outdated nodes', async () => {
  const { jobs, lines } = await record(await ended());

  assert.deepEqual(jobs, []);
  assert.equal(Object.hasOwn(lines[1] ?? {}, 'replication.outdated'), false);
  assert.equal(Object.hasOwn(lines[0] ?? {}, 'transaction.successors'), false);
});

test('a write of which the primary has done nothing is not recorded', async () => {
  const { done, failure, lines } = await record(await ended({ votes: false, errors: { a: failed } }));

  assert.deepEqual([done, lines, failure], [[], [], undefined]);
});

test('a creation is recorded with its path and its assignment', async () => {
  const { done, jobs } = await record(await ended({ change: 'create', errors: { c: failed } }));

  const created = {
    ...{ repository, repositoryId: 7, successors: [], replicaPath: '@cluster/a', isAssigned: true },
    ...{ primary: 'a', updated: ['b'], outdated: ['c'] },
  };
  assert.deepEqual(named(done, 'creation'), [[created]]);
  assert.deepEqual(
    jobs.map(({ source, target }) => [source, target]),
    [['a', 'c']],
  );
});

test('a creation that others completed without the primary is recorded with one of them', async () => {
  const { done, jobs, lines } = await record(await ended({ change: 'create', errors: { a: gone } }));

  const created = { primary: 'b', updated: ['c'], outdated: ['a'] };
  assert.partialDeepStrictEqual(named(done, 'creation'), [[created]]);
  assert.deepEqual(
    jobs.map(({ source, target }) => [source, target]),
    [['b', 'a']],
  );
  assert.deepEqual(lines[0]?.['transaction.successors'], [['b', 'c']]);
});

test('a creation that nobody completed leaves no record, unless clients see it on the disks', async () => {
  const errors = { a: gone, b: failed, c: failed };
  const invisible = await record(await ended({ change: 'create', errors }));
  assert.deepEqual(named(invisible.done, 'creation'), []);
  assert.deepEqual(named(invisible.done, 'recorded'), []);
  assert.deepEqual(invisible.jobs, []);

  const visible = await record(await ended({ change: 'create', errors, replicaPath: 'a.git' }));
  assert.partialDeepStrictEqual(named(visible.done, 'creation'), [[{ primary: 'a', outdated: ['b', 'c'] }]]);
});

for (const [change, targets] of [
  ['delete', ['c']],
  ['rename', []],
] as const)
  test(`a ${change} removes the record, and ${targets.length} nodes get a job`, async () => {
    const { done, jobs, lines } = await record(await ended({ change, errors: { c: failed } }));

    assert.deepEqual(named(done, 'removal'), [[repository]]);
    assert.deepEqual(named(done, 'recorded'), [[repository]]);
    assert.deepEqual(
      jobs.map(({ change: kind, target }) => [kind, target]),
      targets.map((target) => ['delete', target]),
    );
    assert.equal(Object.hasOwn(lines[1] ?? {}, 'replication.outdated'), change === 'delete');
  });

test('a record that fails is named, and is the error of the call', async () => {
  const recordWrite = async () => {
    throw new GitalyError('UNAVAILABLE', 'no database');
  };
  const store = { recordWrite } as unknown as FinalizerOptions['store'];
  const { done, failure } = await record(await ended(), { store });

  assert.ok(failure instanceof GitalyError);
  assert.deepEqual([failure.code, failure.message], ['UNAVAILABLE', 'increment generation: no database']);
  assert.deepEqual(named(done, 'recorded'), []);
});

test('the record goes on without a client that has left, which gets its own error', async () => {
  const { leave, write } = await ended({ replicationTargets: ['d'] });
  const left = new GitalyError('CANCELLED', 'context canceled');
  leave(left);

  const { failure, jobs } = await record({ write });

  assert.equal(failure, left);
  assert.equal(jobs.length, 1);
});

test('a primary that failed after its vote is the error of the call, not a minority', async () => {
  const errors = { a: failed, b: gone, c: gone };
  const { failure, jobs } = await record(await ended({ errors }));

  assert.equal(failure, undefined);
  assert.deepEqual(
    jobs.map(({ target }) => target),
    ['b', 'c'],
  );
});
