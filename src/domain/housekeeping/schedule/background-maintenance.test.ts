import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { Housekeeping } from '../housekeeping.ts';
import { MaintenanceRuns } from '../maintenance-runs.ts';
import { BackgroundMaintenance } from './background-maintenance.ts';
import type { LoadMoment } from './quiet/quiet-wait.ts';

/** A host without load, and calls that the test sets. */
class TestLoad {
  targets: LoadMoment['targets'] = [];
  /** Calls from the start of a run on. */
  whileRunning: LoadMoment['targets'] = [];
  measurements = 0;
  checks = 0;
  readonly sensor = {
    start: (): Disposable => {
      this.measurements++;
      return { [Symbol.dispose]: () => void this.measurements-- };
    },
    read: async (): Promise<LoadMoment> => {
      this.checks++;
      const host = { calls: 0, busyCalls: 4, eventLoopDelayMs: 0, cpuPressure: 0 };
      return { targets: this.targets, host };
    },
  };
}

async function start(
  context: TestContext,
  { onEvent = () => {} }: { readonly onEvent?: (event: string) => void } = {},
) {
  const fixture = await StorageFixture.create();
  context.after(() => fixture[Symbol.asyncDispose]());
  const repository = fixture.init('x.git', { commits: 1 });
  const events: string[] = [];
  const note = (event: string): void => {
    events.push(event);
    onEvent(event);
  };
  const errors: unknown[] = [];
  const load = new TestLoad();
  const runs = new MaintenanceRuns();
  const background = new BackgroundMaintenance({
    storages: fixture.storages,
    housekeeping: new Housekeeping(runs),
    sensor: load.sensor,
    onCounted: (_, { directories, files }) => note(`counted ${directories} ${files}`),
    onProblem: (error) => assert.fail(String(error)),
    onBegin: (_, tasks) => {
      note(`begin ${[...tasks].sort().join()}`);
      load.targets = load.whileRunning;
    },
    onGiveWay: () => note('gave way'),
    onEnd: (_, error) => {
      errors.push(error);
      note('end');
    },
  });
  context.after(() => background[Symbol.asyncDispose]());
  const ended = () =>
    until(
      () => events.includes('end'),
      () => events.join(),
    );
  return { load, fixture, repository, events, errors, runs, background, ended, target: repository.target };
}

test('after many writes what is due begins, once', async (context) => {
  const { events, errors, background, ended, target } = await start(context);

  for (let write = 1; write <= 10; write++) background.afterWrite(target);
  await immediate();
  assert.deepEqual(events, []);
  background.afterWrite(target);
  background.afterWrite(target);
  await ended();

  assert.deepEqual(events, ['begin packReferences', 'end']);
  assert.deepEqual(errors, [undefined]);
});

test('what is due waits while a call runs in the repository, and begins with all tasks', async (context) => {
  const { load, events, background, ended, target } = await start(context);
  load.targets = [target];

  for (let write = 1; write <= 21; write++) background.afterWrite(target);
  assert.equal(load.measurements, 1);
  await until(() => load.checks >= 4);
  assert.deepEqual(events, []);
  load.targets = [];
  await ended();

  assert.deepEqual(events, ['begin commitGraph,packReferences,prune,repack', 'end']);
  assert.equal(load.measurements, 0);
});

test('maintenance gives way to calls between its steps, and goes on afterwards', async (context) => {
  const { load, fixture, repository, events, errors, background, ended, target } = await start(context);
  const { path } = repository;
  const tip = fixture.runGit(path, ['rev-parse', 'main']).trim();
  for (let number = 0; number < 200; number++) writeFileSync(`${path}/refs/heads/${number}`, `${tip}\n`);
  const looseReferences = () => readdirSync(`${path}/refs/heads`).length;
  load.whileRunning = [target];

  background.afterWrite(target, { force: true });
  await ended();
  const all = 'begin commitGraph,packReferences,prune,repack';
  assert.deepEqual(events, [all, 'gave way', 'end']);
  assert.match(fixture.runGit(path, ['count-objects']), /^0 objects/); // the first step
  assert.equal(looseReferences(), 201);
  load.whileRunning = [];
  load.targets = [];
  await until(() => events.length >= 5);

  assert.deepEqual(events.slice(3), [all, 'end']);
  assert.deepEqual(errors, [undefined, undefined]);
  assert.equal(looseReferences(), 0);
});

test('the end drops what waits and its measurement', async (context) => {
  const { load, events, background, target } = await start(context);
  background.afterWrite(target, { force: true });
  assert.equal(load.measurements, 1);

  await background[Symbol.asyncDispose]();

  background.afterWrite(target, { force: true });
  assert.equal(load.measurements, 0);
  assert.deepEqual(events, []);
});

test('a change of the whole history starts everything at once', async (context) => {
  const { events, background, ended, target } = await start(context);

  background.afterWrite(target, { force: true });
  await ended();

  assert.deepEqual(events, ['begin commitGraph,packReferences,prune,repack', 'end']);
});

test('at its first read a repository is counted; a large one is maintained', async (context) => {
  const { fixture, repository, events, background, ended, target } = await start(context);
  rmSync(repository.path, { recursive: true });
  mkdirSync(`${repository.path}/objects/pack`, { recursive: true });
  mkdirSync(`${repository.path}/refs/heads`, { recursive: true });
  for (const name of ['HEAD', 'config'])
    writeFileSync(`${repository.path}/${name}`, 'ref: refs/heads/main\n');
  symlinkSync('nowhere', `${repository.path}/refs/link`);

  background.onRead(target);
  background.onRead(target);
  await until(() => events.length > 0);
  await immediate();
  assert.deepEqual(events, ['counted 5 3']);

  const large = fixture.init('large.git', { commits: 1 });
  for (let number = 0; number < 1001; number++) writeFileSync(`${large.path}/refs/heads/${number}.x`, '');
  background.onRead(large.target);
  await ended();
  assert.match(events[1] ?? '', /^counted \d+ 10\d\d$/);
  assert.deepEqual(events.slice(2), ['begin commitGraph,packReferences,prune,repack', 'end']);
});

// Symptom: the files of a cold repository were counted during its first call, which took as much
// CPU as the call.
test('counting waits for a quiet moment, and maintenance that is due replaces it', async (context) => {
  const { load, events, background, ended, target } = await start(context);
  load.targets = [target];

  background.onRead(target);
  await until(() => load.checks >= 4);
  assert.deepEqual(events, []);
  background.afterWrite(target, { force: true });
  load.targets = [];
  await ended();

  assert.deepEqual(events, ['begin commitGraph,packReferences,prune,repack', 'end']);
});

// Symptom: during a backup of 1,000 repositories a busy server kept up to 800 calls that had
// ended, until it had time to count the files.
test('a repository that waits to be counted keeps no call, one with tasks its write', async (context) => {
  const calls = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const { load, events, background, ended, target } = await start(context, {
    onEvent: (event) => seen.push(`${event.split(' ')[0]} in ${calls.getStore()}`),
  });

  calls.run('a read', () => background.onRead(target));
  await until(() => events.length > 0);
  load.targets = [target];
  calls.run('a write', () => background.afterWrite(target, { force: true }));
  load.targets = [];
  await ended();

  assert.deepEqual(seen, ['counted in undefined', 'begin in a write', 'end in a write']);
});

test('tasks that join a count run in the context of their write', async (context) => {
  const calls = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const { load, background, ended, target } = await start(context, {
    onEvent: (event) => seen.push(`${event.split(' ')[0]} in ${calls.getStore()}`),
  });
  load.targets = [target];

  calls.run('a read', () => background.onRead(target));
  calls.run('a write', () => background.afterWrite(target, { force: true }));
  calls.run('a later write', () => background.afterWrite(target, { force: true }));
  load.targets = [];
  await ended();

  assert.deepEqual(seen, ['begin in a write', 'end in a write']);
});

test('counting ends where more would change nothing', async (context) => {
  const { repository, events, background, target } = await start(context);
  const deep = Array.from({ length: 400 }, (_, level) => `refs/heads/${level}/x`);
  for (const name of deep) mkdirSync(`${repository.path}/${name}/y`, { recursive: true });

  background.onRead(target);
  await until(() => events.length > 0);

  const [, directories, files] = `${events[0]}`.split(' ').map(Number);
  assert.ok(directories !== undefined && files !== undefined);
  assert.ok(directories + files > 1000 && directories < 1200, events.join());
});

test('nothing begins in a repository where maintenance runs, or that was removed', async (context) => {
  const { load, repository, events, runs, background, target } = await start(context);
  using _run = await runs.tryStart(repository);
  background.afterWrite(target, { force: true });
  await until(() => load.measurements === 0); // it no longer waits
  await background[Symbol.asyncDispose]();
  assert.deepEqual(events, []);

  const other = await start(context);
  rmSync(other.repository.path, { recursive: true });
  other.background.afterWrite(other.target, { force: true });
  other.background.onRead(other.target);
  await until(() => other.load.measurements === 0);
  await other.background[Symbol.asyncDispose]();
  assert.deepEqual(other.events, []);
});

test('maintenance that fails is reported', async (context) => {
  const { repository, events, errors, background, ended, target } = await start(context);
  rmSync(`${repository.path}/config`);

  background.afterWrite(target, { force: true });
  await ended();

  assert.deepEqual(events.at(-1), 'end');
  assert.match(String(errors[0]), /deriving repository info: .*config: no such file/);
});
