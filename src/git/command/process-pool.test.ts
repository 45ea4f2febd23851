import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startUpdateRef } from '../refs/update/update-ref-process.ts';
import type { CommandRepository } from './command-repository.ts';
import type { GitProcess } from './process/git-process.ts';
import { type PoolLimits, ProcessPool } from './process-pool.ts';

const LIMITS: PoolLimits = { maxIdle: 3, maxIdlePerRepository: 2 };

interface Pooled extends AsyncDisposable {
  readonly fixture: StorageFixture;
  readonly pool: ProcessPool;
  readonly repository: Repository;
}

async function arrange(limits = LIMITS): Promise<Pooled> {
  const fixture = await StorageFixture.create();
  const started: GitProcess[] = [];
  const start = (repository: CommandRepository): GitProcess => {
    const process = startUpdateRef(repository);
    started.push(process);
    return process;
  };
  const pool = new ProcessPool(start, limits);
  return {
    fixture,
    pool,
    repository: fixture.init('x.git'),
    async [Symbol.asyncDispose]() {
      await pool.close();
      await Promise.all(started.map((process) => process[Symbol.asyncDispose]()));
      await fixture[Symbol.asyncDispose]();
    },
  };
}

/** Moves the clock of this process forward. */
function advance(context: TestContext, byMs: number): void {
  const now = performance.now.bind(performance);
  context.mock.method(performance, 'now', () => now() + byMs);
}

const hasEnded = async ({ exited }: GitProcess): Promise<true> => {
  await exited;
  return true;
};

test('a process serves one job after the other, the last one first', async () => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  const [first, second] = [pool.start(repository), pool.start(repository)];
  pool.giveBack(repository, first);
  pool.giveBack(repository, second);

  assert.equal(pool.take(repository), second);
  assert.equal(pool.take(repository), first);
  assert.equal(pool.take(repository), undefined);
});

for (const { what, ageMs, isTaken } of [
  { what: 'serves again before it is a minute old', ageMs: 30_000, isTaken: true },
  { what: 'ends at the age of a minute', ageMs: 60_000, isTaken: false },
]) {
  test(`a process that is never idle for long ${what}`, async (context) => {
    await using pooled = await arrange();
    const { pool, repository } = pooled;
    const process = pool.start(repository);
    advance(context, ageMs);
    pool.giveBack(repository, process);

    const taken = pool.take(repository);

    assert.equal(taken, isTaken ? process : undefined);
    if (taken === undefined) assert.ok(await hasEnded(process));
  });
}

test('a process that waits for ten seconds ends', async (context) => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  const process = pool.start(repository);
  pool.giveBack(repository, process);

  advance(context, 10_001);

  assert.ok(await hasEnded(process));
  assert.equal(pool.take(repository), undefined);
});

test('a process that has waited for less goes on when an older one ends', async (context) => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  const [old, young] = [pool.start(repository), pool.start(repository)];
  pool.giveBack(repository, old);
  advance(context, 10_001);
  pool.giveBack(repository, young);

  assert.ok(await hasEnded(old));

  assert.equal(pool.take(repository), young);
});

test('processes above the limits end: of one repository the newest, of all the oldest', async () => {
  await using pooled = await arrange();
  const { pool, repository, fixture } = pooled;
  const others = [fixture.init('y.git'), fixture.init('z.git')] as const;
  const started = [repository, repository, repository].map((of) => pool.start(of));

  for (const process of started) pool.giveBack(repository, process);
  const [oldest, kept, surplus] = started;
  assert.ok(surplus && (await hasEnded(surplus)));
  for (const other of others) pool.giveBack(other, pool.start(other));

  assert.ok(oldest && (await hasEnded(oldest)));
  assert.equal(pool.take(repository), kept);
  assert.equal(pool.take(repository), undefined);
});

test('a process is for one variant of one repository with its object directories', async () => {
  await using pooled = await arrange();
  const { pool, repository, fixture } = pooled;
  const process = pool.start(repository, 'a');
  pool.giveBack(repository, process);

  assert.equal(pool.take(repository), undefined);
  assert.equal(pool.take(repository, 'b'), undefined);
  assert.equal(pool.take(fixture.init('y.git'), 'a'), undefined);
  for (const directories of [
    { objectDirectory: `${repository.path}/other`, alternateObjectDirectories: [] },
    { objectDirectory: repository.objectDirectory, alternateObjectDirectories: [`${fixture.root}/other`] },
  ])
    assert.equal(pool.take(repository.withObjectDirectories(directories), 'a'), undefined);
  assert.equal(pool.take(repository, 'a'), process);
});

test('the processes of a removed repository end, and those of others go on', async () => {
  await using pooled = await arrange();
  const { pool, repository, fixture } = pooled;
  const other = fixture.init('y.git');
  const [gone, stays] = [pool.start(repository), pool.start(other)];
  pool.giveBack(repository, gone);
  pool.giveBack(other, stays);

  pool.forget(repository);

  assert.ok(await hasEnded(gone));
  assert.equal(pool.take(repository), undefined);
  assert.equal(pool.take(other), stays);
});

test('a closed pool ends what it has, and what it gets back', async () => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  const [waiting, busy] = [pool.start(repository), pool.start(repository)];
  pool.giveBack(repository, waiting);

  await pool.close();
  pool.giveBack(repository, busy);

  assert.ok(await hasEnded(waiting));
  assert.ok(await hasEnded(busy));
});

test('a process that is not of the pool is not kept', async () => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  const foreign = startUpdateRef(repository);

  pool.giveBack(repository, foreign);

  assert.ok(await hasEnded(foreign));
  assert.equal(pool.take(repository), undefined);
});

const BUSY_LIMITS: PoolLimits = { maxIdle: 3, maxIdlePerRepository: 3, maxBusyPerRepository: 2 };
const never = new AbortController().signal;

test('a job waits for a busy process when enough of them are busy', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  const first = pool.start(repository);
  assert.equal(await pool.takeSoon(repository, '', never), undefined); // one more may be started
  pool.start(repository);

  const waiting = pool.takeSoon(repository, '', never);
  pool.giveBack(repository, first);

  assert.equal(await waiting, first);
});

test('a job that waits is served before a later one, and the end of a process counts', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  const [first, second] = [pool.start(repository), pool.start(repository)];
  const [one, other] = [pool.takeSoon(repository, '', never), pool.takeSoon(repository, '', never)];
  pool.giveBack(repository, first);
  assert.equal(await one, first);

  second.kill();

  assert.equal(await other, undefined); // it may start one
});

test('a job does not wait for processes of another variant or repository', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { fixture, pool, repository } = pooled;
  pool.start(repository, 'a');
  pool.start(repository, 'a');

  assert.equal(await atOnce(pool.takeSoon(repository, 'b', never)), undefined);
  assert.equal(await atOnce(pool.takeSoon(fixture.init('y.git'), 'a', never)), undefined);
});

test('a wait ends after a moment, and with its call', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  pool.start(repository);
  pool.start(repository);
  const call = new AbortController();

  const waits = [pool.takeSoon(repository, '', never), pool.takeSoon(repository, '', call.signal)];
  call.abort();

  assert.deepEqual(await Promise.all(waits), [undefined, undefined]);
});

test('processes beyond the busy ones end with their job', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  const [first, second] = [1, 2, 3].map(() => pool.start(repository));
  assert.ok(first !== undefined && second !== undefined);

  pool.giveBack(repository, first);

  assert.ok(await hasEnded(first));
  pool.giveBack(repository, second);
  assert.equal(pool.take(repository), second);
});

/** Returns what a promise resolves with if that takes no time, else `later`. */
async function atOnce<T>(promise: Promise<T>): Promise<T | 'later'> {
  return await Promise.race([promise, turn().then(() => 'later' as const)]);
}

test('without a limit of busy processes a job does not wait', async () => {
  await using pooled = await arrange();
  const { pool, repository } = pooled;
  for (let count = 0; count < 4; count++) pool.start(repository);

  assert.equal(await atOnce(pool.takeSoon(repository, '', never)), undefined);
});

test('a process that is free wakes the job that waits for its repository and variant', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  const [a] = ['a', 'a', 'b', 'b'].map((variant) => pool.start(repository, variant));
  const waits = ['b', 'a', 'a'].map((variant) => pool.takeSoon(repository, variant, never));

  assert.ok(a !== undefined);
  pool.giveBack(repository, a);

  const served = await Promise.all(waits.map(atOnce));
  assert.deepEqual(served, ['later', a, 'later']);
  assert.deepEqual(await Promise.all(waits), [undefined, a, undefined]);
});

test('a job that takes long does not count as busy', async (context) => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  pool.start(repository);
  pool.start(repository);

  advance(context, 101);

  assert.equal(await atOnce(pool.takeSoon(repository, '', never)), undefined);
});

test('a process that waits is taken at once, however many are busy', async () => {
  await using pooled = await arrange(BUSY_LIMITS);
  const { pool, repository } = pooled;
  const [first] = [1, 2].map(() => pool.start(repository));
  assert.ok(first !== undefined);
  pool.giveBack(repository, first);
  pool.start(repository);

  assert.equal(await atOnce(pool.takeSoon(repository, '', never)), first);
});

test('a process outlives the request that started it, without its context', async () => {
  const request = new AsyncLocalStorage<string>();
  await using fixture = await StorageFixture.create();
  const contexts: unknown[] = [];
  const pool = new ProcessPool((repository) => {
    contexts.push(request.getStore());
    return startUpdateRef(repository);
  }, LIMITS);

  await using _process = request.run('request', () => pool.start(fixture.init('x.git')));

  assert.deepEqual(contexts, [undefined]);
});

test('a process whose repository has other settings since ends', async () => {
  await using pooled = await arrange();
  const { pool, repository, fixture } = pooled;
  const process = pool.start(repository);
  pool.giveBack(repository, process);

  fixture.runGit(repository.path, ['config', 'core.x', 'y']);

  assert.equal(pool.take(repository), undefined);
  assert.ok(await hasEnded(process));
});
