import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { lineLogger } from '#testkit/line-logger';
import { type CopyCall, copyNode } from '#testkit/praefect/running-replicator';
import type { ReplicationJob } from '../model/job.ts';
import { MemoryStore } from '../store/memory-store.ts';
import type { CopyPlan } from '../store/replica-store.ts';
import { catchUp } from './catch-up.ts';
import { WritePauses, type WritePausesOptions } from './write-pauses.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, ...repository, replicaPath: 'x.git' },
  ...{ source: 'a', target: 'b', correlationId: 'id' },
};
const NEVER = new AbortController().signal;
/** Longer than a test. */
const LONG_MS = 600_000;

interface Options {
  readonly limits?: WritePausesOptions;
  /** Runs in each copy. @param number from 1 */
  readonly inCopy?: (number: number) => Promise<void>;
  readonly isStopped?: (copies: number) => boolean;
  readonly store?: MemoryStore;
}

/** A repository with an up-to-date replica on `a`, whose copy to `b` is made by `catchUp`. */
async function start({
  inCopy = async () => {},
  isStopped = () => false,
  limits = { limitMs: LONG_MS },
  store = new MemoryStore(),
}: Options) {
  const calls: CopyCall[] = [];
  let copies = 0;
  const { lines, logger } = lineLogger();
  const pauses = new WritePauses(limits);
  const replicateRepository = () => {
    copies++;
    return inCopy(copies);
  };
  await store.recordCreation({
    ...{ repository, repositoryId: 1, replicaPath: 'x.git', isAssigned: false },
    ...{ primary: 'a', updated: [], outdated: ['b'] },
  });
  const write = () =>
    store.recordWrite({ repository, repositoryId: 1, primary: 'a', updated: [], outdated: ['b'] });
  return {
    ...{ calls, lines, pauses, store, write },
    copies: () => copies,
    run: () =>
      catchUp(
        {
          ...{ store, pauses, logger },
          source: copyNode('a'),
          target: copyNode('b', { calls, on: { replicateRepository } }),
          isStopped: () => isStopped(copies),
        },
        job,
      ),
  };
}

/** Starts with a repository that gets a write in each of the first copies. */
async function startWithWrites(count: number, options: Options = {}) {
  const inCopy = async (number: number): Promise<void> => {
    await options.inCopy?.(number);
    if (number <= count) await setting.write();
  };
  const setting = await start({ ...options, inCopy });
  return setting;
}

const pauseLines = (lines: readonly Record<string, unknown>[]) =>
  lines.filter(({ msg }) => msg === 'writes were paused for a copy');

for (const { writes, copies } of [
  { writes: 0, copies: 1 },
  { writes: 1, copies: 2 },
])
  test(`a copy that ${writes} writes outrun needs no pause`, async () => {
    const { copies: made, lines, run, store } = await startWithWrites(writes);

    await run();

    assert.equal(made(), copies);
    assert.deepEqual(store.consistentStorages(repository), new Set(['a', 'b']));
    assert.deepEqual(lines, []);
  });

test('writes that have outrun two copies are paused for the next', async () => {
  const order: string[] = [];
  let write: Promise<unknown> | undefined;
  const { calls, copies, lines, pauses, run, store } = await startWithWrites(2, {
    inCopy: async (number) => {
      if (number === 3) write = pauses.write(repository, NEVER).then(() => order.push('write'));
      await immediate();
      order.push(`copy ${number}`);
    },
  });
  const before = performance.now();

  await run();
  await write;

  assert.deepEqual(order, ['copy 1', 'copy 2', 'copy 3', 'write']);
  assert.equal(copies(), 3);
  assert.deepEqual(store.consistentStorages(repository), new Set(['a', 'b']));
  assert.deepEqual(
    pauseLines(lines).map(({ is_current, level }) => [level, is_current]),
    [['info', true]],
  );
  const pauseMs = Number(lines[0]?.pause_ms);
  assert.ok(pauseMs >= 0 && pauseMs <= Math.round(performance.now() - before), `${pauseMs} ms`);
  const signals = calls.flatMap(([, method, , options]) =>
    method === 'replicateRepository' ? [(options as { signal?: AbortSignal }).signal !== undefined] : [],
  );
  assert.deepEqual(signals, [false, false, true], 'the copy in the pause ends with it');
});

test('a copy in a pause is repeated for writes that were already running', async () => {
  const { copies, lines, run, store } = await startWithWrites(4);

  await run();

  assert.equal(copies(), 5);
  assert.equal(pauseLines(lines)[0]?.is_current, true);
  assert.deepEqual(store.consistentStorages(repository), new Set(['a', 'b']));
});

test('copies in a pause end with its time', async () => {
  const { lines, run, store } = await startWithWrites(Number.POSITIVE_INFINITY, {
    limits: { limitMs: 20 },
    inCopy: () => immediate(),
  });

  await run();

  assert.deepEqual(
    pauseLines(lines).map(({ is_current }) => is_current),
    [false],
  );
  assert.deepEqual(store.consistentStorages(repository), new Set(['a']));
});

test('a copy that the end of its pause aborts is no error, another failure is', async () => {
  const inPause = (failing: () => Promise<void>) => (number: number) =>
    number > 2 ? failing() : Promise.resolve();
  const aborted = await startWithWrites(2, {
    limits: { limitMs: 1 },
    inCopy: inPause(async () => {
      const ended = AbortSignal.timeout(50);
      await new Promise((resolve) => ended.addEventListener('abort', resolve));
      throw new GitalyError('CANCELLED', 'context canceled');
    }),
  });
  await aborted.run();
  assert.equal(pauseLines(aborted.lines)[0]?.is_current, false);

  const failed = await startWithWrites(2, {
    inCopy: inPause(() => Promise.reject(new GitalyError('INTERNAL', 'no space'))),
  });
  await assert.rejects(failed.run(), { message: 'no space' });
  using _write = await failed.pauses.write(repository, NEVER);
});

test('copies that take longer than half a pause are made four times, without one', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const { copies, lines, run } = await startWithWrites(Number.POSITIVE_INFINITY, {
    inCopy: async () => {
      nowMs += 2001;
    },
  });

  await run();

  assert.equal(copies(), 4);
  assert.deepEqual(lines, []);
});

test('a copy that takes half a pause is followed by one', async (context) => {
  let nowMs = 0;
  context.mock.method(performance, 'now', () => nowMs);
  const { copies, lines, run } = await startWithWrites(2, {
    inCopy: async (number) => {
      nowMs += number === 3 ? 7 : 2000;
    },
  });

  await run();

  assert.equal(copies(), 3);
  assert.deepEqual(
    pauseLines(lines).map(({ pause_ms }) => pause_ms),
    [7],
  );
});

test('no copy begins after the replicator was stopped', async () => {
  for (const { after, copies } of [
    { after: 0, copies: 0 },
    { after: 1, copies: 1 },
  ]) {
    const setting = await startWithWrites(3, { isStopped: (count) => count >= after });
    await setting.run();
    assert.equal(setting.copies(), copies);
  }
});

/** A store whose plans are given, one after the other. It records its calls. */
class PlannedStore extends MemoryStore {
  readonly recorded: number[] = [];
  readonly #plans: (CopyPlan | undefined)[];

  constructor(plans: readonly ({ source: number; target: number } | undefined)[]) {
    super();
    this.#plans = plans.map((plan) => plan && { ...plan, replicaPath: 'x.git' });
  }

  override async planCopy(): Promise<CopyPlan> {
    // A database returns `undefined` for a repository that was removed.
    return this.#plans.shift() as CopyPlan;
  }

  override async recordCopy(_job: ReplicationJob, generation: number): Promise<void> {
    this.recorded.push(generation);
  }
}

for (const { name, plans, copies, recorded, messages } of [
  {
    name: 'a repository that was removed',
    plans: [undefined],
    ...{ copies: 0, recorded: [] },
    messages: ['repository was removed, skipping replication job'],
  },
  {
    name: 'a replica with the generation of its source',
    plans: [{ source: 0, target: 0 }],
    ...{ copies: 0, recorded: [] },
    messages: ['target repository already on the same generation, skipping replication job'],
  },
  {
    name: 'a replica that has more than a source without a generation',
    plans: [{ source: -1, target: 0 }],
    ...{ copies: 0, recorded: [] },
    messages: ['repository downgrade prevented'],
  },
  {
    name: 'two replicas without a generation',
    plans: [{ source: -1, target: -1 }],
    ...{ copies: 1, recorded: [], messages: [] },
  },
  {
    name: 'a new replica',
    plans: [
      { source: 0, target: -1 },
      { source: 0, target: 0 },
    ],
    ...{ copies: 1, recorded: [0], messages: [] },
  },
  {
    name: 'a replica with an old generation, whose repository is removed in the copy',
    plans: [{ source: 7, target: 6 }, undefined],
    ...{ copies: 1, recorded: [7], messages: [] },
  },
  {
    name: 'a replica that becomes the authoritative one in the copy',
    plans: [
      { source: 7, target: 6 },
      { source: 7, target: 8 },
    ],
    ...{ copies: 1, recorded: [7] },
    messages: ['target became the authoritative replica during a copy, and has what the source had'],
  },
])
  test(`${name}: ${copies} copies`, async () => {
    const store = new PlannedStore(plans);
    const setting = await start({ store });

    await setting.run();

    assert.equal(setting.copies(), copies);
    assert.deepEqual(store.recorded, recorded);
    assert.deepEqual(
      setting.lines.map(({ msg }) => msg),
      messages,
    );
  });

test('the record of a source without a repository is removed with a line', async () => {
  const { lines, run, store } = await start({
    inCopy: () => Promise.reject(new GitalyError('NOT_FOUND', 'invalid source repository')),
  });

  await run();

  assert.deepEqual(store.consistentStorages(repository), new Set());
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [['info', 'invalid repository record removed']],
  );
});
