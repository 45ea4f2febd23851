import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import {
  type CopyCall,
  type CopyNodeOptions,
  job,
  startReplicator,
  triedTargets,
} from '#testkit/praefect/running-replicator';
import { until } from '#testkit/until';
import type { DequeuedJob, ReplicationQueue } from '../model/job.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { MemoryQueue } from './memory-queue.ts';

const refused = new GitalyError('UNAVAILABLE', 'refused');

const methodsOf = (calls: readonly CopyCall[]): string[] =>
  calls.map(([storage, method]) => `${storage} ${method}`);

const removal = { ...job, change: 'delete' } as const;

/** Removals on both nodes, each of which lasts until the test ends it. */
function removalsThatLast() {
  const events: string[] = [];
  const ends = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() };
  const node = (name: 'a' | 'b'): Omit<CopyNodeOptions, 'calls'> => ({
    on: {
      removeRepository: async () => {
        events.push(`${name} begins`);
        await ends[name].promise;
        events.push(`${name} ends`);
      },
    },
  });
  const jobs = [{ ...removal, target: 'a' }, removal];
  return { ends, events, jobs, nodes: { source: node('a'), target: node('b') } };
}

test('each job is logged at its begin and at its end, with what it is about', async () => {
  await using running = await startReplicator([job]);
  await until(() => running.lines.length === 2);

  const fields = {
    ...{ level: 'info', virtual_storage: 'default', relative_path: 'x.git', correlation_id: 'id' },
    ...{ replication_job_source: 'a', replication_job_target: 'b' },
  };
  const [first, second] = running.lines.map(({ time: _, pid: _pid, ...rest }) => rest);
  const { event, ...started } = first ?? {};
  assert.deepEqual(started, { ...fields, msg: 'replication job processing started' });
  assert.equal((event as DequeuedJob).replicaPath, 'replica/x.git');
  assert.deepEqual(second, { ...fields, msg: 'replication job processing finished', new_state: 'completed' });
  assert.deepEqual(running.observed, [[1, 'completed']]);
});

for (const { isServing, attempts, end } of [
  { isServing: true, attempts: 1, end: 'failed' },
  { isServing: true, attempts: 3, end: 'dead' },
  { isServing: false, attempts: 3, end: 'failed' },
] as const)
  test(`attempt ${attempts} fails, its target ${isServing ? 'serves' : 'is away'}: ${end}`, async () => {
    const queue = new MemoryQueue();
    await queue.enqueue(job);
    for (let attempt = 1; attempt < attempts; attempt++)
      for (const { id } of await queue.dequeue('default', 'b', 1)) await queue.acknowledge(id, 'failed');
    const target = { isServing, on: { replicateRepository: () => Promise.reject(refused) } };
    await using running = await startReplicator([], { queue, target });
    await until(() => running.observed.length === 1);

    assert.deepEqual(running.observed, [[1, end]]);
    const { level, msg, new_state, error } = running.lines.at(-1) ?? {};
    assert.deepEqual(
      [level, msg, new_state, error],
      ['error', 'replication job processing finished', end, 'refused'],
    );
  });

test('a source that is not configured fails the job', async () => {
  await using running = await startReplicator([{ ...job, source: 'gone' }]);
  await until(() => running.observed.length === 1);
  assert.equal(running.lines.at(-1)?.error, 'no node for source storage "gone"');
  assert.deepEqual(running.calls, []);
});

for (const { error, end } of [
  { error: new GitalyError('NOT_FOUND', 'no repository'), end: 'completed' },
  { error: new GitalyError('INTERNAL', 'failed'), end: 'failed' },
  { error: new Error('failed'), end: 'failed' },
] as const)
  test(`a removal that ends with ${error.message} is ${end}`, async () => {
    const target = { on: { removeRepository: () => Promise.reject(error) } };
    await using running = await startReplicator([{ ...job, change: 'delete' }], { target });
    await until(() => running.observed.length === 1);
    assert.deepEqual(running.observed, [[1, end]]);
  });

test('a replica is removed where the job has it, or where its repository is', async () => {
  await using running = await startReplicator([
    { ...job, change: 'delete' },
    { ...job, change: 'delete', relativePath: 'y.git', replicaPath: '' },
  ]);
  await until(() => running.observed.length === 2);

  assert.deepEqual(
    running.calls.map(([storage, method, request, options]) => ({ storage, method, request, options })),
    ['replica/x.git', 'y.git'].map((relativePath) => ({
      ...{ storage: 'b', method: 'removeRepository' },
      request: { repository: { storageName: 'b', relativePath } },
      options: { correlationId: 'id' },
    })),
  );
  assert.deepEqual(
    running.lines.flatMap(({ level, msg }) =>
      String(msg).startsWith('replication job') ? [] : [[level, msg]],
    ),
    Array(2).fill(['info', 'replica had no record']),
  );
});

// Symptom: without a database, the new repository was lost on the node.
test('a removal leaves a repository that was made anew at its path', async () => {
  const store = new MemoryStore();
  const repository = { virtualStorage: job.virtualStorage, relativePath: job.relativePath };
  const facts = { repository, repositoryId: 0, replicaPath: job.relativePath, isAssigned: false };
  await store.recordCreation({ ...facts, primary: 'b', updated: [], outdated: ['a'] });
  await using running = await startReplicator([{ ...job, change: 'delete' }], { store });
  await until(() => running.observed.length === 1);

  assert.deepEqual(running.calls, []);
  assert.deepEqual(store.consistentStorages(repository), new Set(['b']));
});

test('a target that gets a job is worked on at once, not after its delay', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] }); // the delays do not end
  const { queue, tried } = triedTargets();
  await using running = await startReplicator([], { queue });
  await until(() => tried.length === 2, 'no target has work');
  await new Promise((resolve) => setImmediate(resolve));
  await queue.enqueue(job);

  running.wake('b');
  await until(() => running.observed.length === 1);

  assert.equal(tried.filter((target) => target === 'a').length, 1);
});

test('a job that has ended brings the next batch at once', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] }); // a delay would not end
  await using running = await startReplicator([job, { ...job, relativePath: 'y.git' }], { batchSize: 1 });

  await until(() => running.observed.length === 2);
});

test('a job that has failed waits while other targets have their turn', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { queue, tried } = triedTargets();
  for (const relativePath of ['x.git', 'y.git']) await queue.enqueue({ ...job, relativePath });
  const target = { on: { replicateRepository: () => Promise.reject(refused) } };
  await using running = await startReplicator([], { queue, target, batchSize: 1 });
  await until(() => running.observed.length === 1);

  await until(() => {
    context.mock.timers.tick(1000);
    return tried.length >= 4;
  });

  assert.deepEqual(tried.slice(0, 4), ['a', 'b', 'a', 'b']);
});

test('a queue that fails is logged, with its target', async () => {
  const queue = new MemoryQueue();
  queue.dequeue = () => Promise.reject(new Error('no database'));
  await using running = await startReplicator([], { queue });
  await until(() => running.lines.length === 2);
  assert.deepEqual(
    running.lines.map(({ time: _, pid: _pid, ...rest }) => rest),
    ['a', 'b'].map((replication_job_target) => ({
      ...{ level: 'error', msg: 'failed to process replication jobs', error: 'no database' },
      ...{ virtual_storage: 'default', replication_job_target },
    })),
  );
});

test('jobs are kept while they run, and those after a stop are given back', async () => {
  const queue: ReplicationQueue = new MemoryQueue();
  for (const relativePath of ['x.git', 'y.git']) await queue.enqueue({ ...job, relativePath });
  const events: string[] = [];
  queue.keep = (jobs) => {
    if (jobs.length > 0) events.push(`kept ${jobs.length}`);
    return { [Symbol.asyncDispose]: async () => void (jobs.length > 0 && events.push('released')) };
  };
  const copying = Promise.withResolvers<void>();
  const target = { on: { replicateRepository: () => copying.promise } };
  const running = await startReplicator([], { queue, target });
  await until(() => methodsOf(running.calls).includes('b replicateRepository'));

  const stopping = running[Symbol.asyncDispose]();
  assert.deepEqual(events, ['kept 2']);
  copying.resolve();
  await stopping;

  assert.deepEqual(events, ['kept 2', 'released']);
  assert.deepEqual(running.observed, [[1, 'completed']]);
  const [again] = await queue.dequeue('default', 'b', 10);
  assert.deepEqual([again?.id, again?.attemptsLeft], [2, 1]);
});

test('a copy that writes have outrun is not made again after a stop', async () => {
  const store = new MemoryStore();
  const write = async (): Promise<void> => {
    const repository = { virtualStorage: 'default', relativePath: 'x.git' };
    const facts = { repository, repositoryId: 1, primary: 'a', updated: [], outdated: ['b'] };
    await store.recordWrite({ ...facts, successors: [] });
  };
  await write();
  let stopping: Promise<void> | undefined;
  const target = {
    on: {
      replicateRepository: async () => {
        await write();
        stopping ??= running[Symbol.asyncDispose]();
      },
    },
  };
  const running = await startReplicator([job], { store, target });
  await until(() => stopping !== undefined);
  await stopping;

  const copies = methodsOf(running.calls).filter((call) => call === 'b replicateRepository');
  assert.equal(copies.length, 1);
});

test('a job whose end cannot be recorded is acknowledged again', async () => {
  const queue = new MemoryQueue();
  const acknowledge = queue.acknowledge.bind(queue);
  await queue.enqueue(job);
  let attempts = 0;
  queue.acknowledge = async (id, end) => {
    if (++attempts === 1) throw new Error('no database');
    await acknowledge(id, end);
  };
  await using running = await startReplicator([], { queue });

  await until(() => attempts === 2);

  assert.deepEqual(running.observed, [[1, 'completed']], 'the work is done once');
  assert.ok(running.lines.every(({ level }) => level === 'info'));
});

test('two workers work on two nodes at the same time', async () => {
  const { ends, events, jobs, nodes } = removalsThatLast();
  await using _running = await startReplicator(jobs, { ...nodes, workers: 2 });

  await until(() => events.length === 2);

  assert.deepEqual(events, ['a begins', 'b begins']);
  ends.a.resolve();
  ends.b.resolve();
});

test('one worker takes a node when it is done with the other', async () => {
  const { ends, events, jobs, nodes } = removalsThatLast();
  await using running = await startReplicator(jobs, { ...nodes, workers: 1 });
  await until(() => events.length === 1);

  ends.b.resolve();
  ends.a.resolve();
  await until(() => running.observed.length === 2);

  assert.deepEqual(events, ['a begins', 'a ends', 'b begins', 'b ends']);
});

test('two workers do not work on one node at the same time', async () => {
  const { ends, events, nodes } = removalsThatLast();
  const jobs = ['x.git', 'y.git'].map((relativePath) => ({ ...removal, relativePath }));
  await using running = await startReplicator(jobs, { ...nodes, workers: 2, batchSize: 1 });
  await until(() => events.length === 1);

  ends.b.resolve();
  await until(() => running.observed.length === 2);

  assert.deepEqual(events, ['b begins', 'b ends', 'b begins', 'b ends']);
});

test('nothing is taken from the queue for a node that is not healthy', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { queue, tried } = triedTargets();
  await queue.enqueue(removal);
  await using running = await startReplicator([], { queue, isHealthy: ({ storage }) => storage === 'a' });

  await until(() => {
    context.mock.timers.tick(5000);
    return tried.length >= 3;
  });

  assert.deepEqual(new Set(tried), new Set(['a']));
  assert.deepEqual(running.observed, []);
});

/** A queue that cannot record the end of its only job. */
async function queueThatRecordsNothing(failed: (attempts: number) => void) {
  const queue = new MemoryQueue();
  await queue.enqueue(removal);
  let attempts = 0;
  queue.acknowledge = async () => {
    failed(++attempts);
    throw new Error('no database');
  };
  return { queue, attempts: () => attempts };
}

// Others take the job after a minute.
test('the end of a job is recorded again for thirty seconds', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const paused = Promise.withResolvers<boolean>();
  const { attempts, queue } = await queueThatRecordsNothing((count) => {
    nowMs = count === 1 ? 30_000 : 30_001;
    if (count === 1) setImmediate(() => paused.resolve(true));
    else paused.resolve(false);
  });
  await using running = await startReplicator([], { queue });

  await until(() => running.lines.some(({ level }) => level === 'error'));

  assert.equal(attempts(), 2);
  assert.equal(await paused.promise, true, 'other work goes on between the attempts');
  const { msg, error } = running.lines.at(-1) ?? {};
  assert.deepEqual([msg, error], ['failed to process replication jobs', 'no database']);
});

test('a replicator that is stopped does not try again to record the end of a job', async () => {
  let stopping: Promise<void> | undefined;
  const { attempts, queue } = await queueThatRecordsNothing(() => {
    stopping ??= running[Symbol.asyncDispose]();
  });
  const running = await startReplicator([], { queue });
  await until(() => stopping !== undefined);

  await stopping;

  assert.equal(attempts(), 1);
});
