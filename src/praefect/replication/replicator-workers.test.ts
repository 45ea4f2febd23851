import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CopyNodeOptions,
  job,
  startReplicator,
  triedTargets,
} from '#testkit/praefect/running-replicator';
import { until } from '#testkit/until';
import { MemoryQueue } from './memory-queue.ts';

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
