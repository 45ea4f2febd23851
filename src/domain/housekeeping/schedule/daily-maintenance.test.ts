import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { Housekeeping } from '../housekeeping.ts';
import { MaintenanceRuns } from '../maintenance-runs.ts';
import { type DailyObserver, maintainAll, startDailyMaintenance } from './daily-maintenance.ts';
import { nextStart } from './daily-window.ts';

class Events implements DailyObserver {
  readonly list: string[] = [];
  readonly starts: Date[] = [];
  readonly errors: unknown[] = [];
  onOptimized = (): void => {};

  scheduled(start: Date): void {
    this.starts.push(start);
    this.list.push('scheduled');
  }

  started(): void {
    this.list.push('started');
  }

  optimized({ relativePath }: Repository, { error }: { readonly error?: unknown }): void {
    this.list.push(relativePath);
    this.errors.push(error);
    this.onOptimized();
  }

  completed({ repositories, error }: { readonly repositories?: number; readonly error?: unknown }): void {
    this.list.push(`completed ${repositories}`);
    this.errors.push(error);
  }
}

async function start() {
  const fixture = await StorageFixture.create();
  for (const name of ['a.git', 'b/c.git']) fixture.init(name, { commits: 1 });
  const observer = new Events();
  const housekeeping = new Housekeeping(new MaintenanceRuns());
  const { storages } = fixture;
  return { fixture, observer, options: { storages, housekeeping, names: ['default'], observer } };
}

const { signal } = new AbortController();

test('every repository of the storages is maintained, also after one that fails', async () => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;
  fixture.init('broken.git');
  rmSync(`${fixture.storage.path}/broken.git/config`);

  const count = await maintainAll({ ...options, names: ['default', 'second'] }, signal, { pauseMs: 0 });

  assert.equal(count, 3);
  assert.deepEqual(observer.list.toSorted(), ['a.git', 'b/c.git', 'broken.git']);
  const at = observer.list.indexOf('broken.git');
  assert.match(String(observer.errors[at]), /config/);
  assert.equal(observer.errors.filter((error) => error === undefined).length, 2);
});

test('other storages are left alone', async () => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;

  assert.equal(await maintainAll({ ...options, names: ['second'] }, signal, { pauseMs: 0 }), 0);

  assert.deepEqual(observer.list, []);
});

test('maintenance ends in the pause between two repositories when its time is over', async () => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;
  const abort = new AbortController();
  observer.onOptimized = () => setImmediate(() => abort.abort());

  assert.equal(await maintainAll(options, abort.signal, { pauseMs: 60_000 }), 1);

  assert.equal(observer.list.length, 1);
});

test('a repository whose maintenance is aborted is not counted', async () => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;

  assert.equal(await maintainAll(options, AbortSignal.abort()), 0);

  assert.deepEqual(observer.list, []);
});

test('daily maintenance begins at its time, and is scheduled again', async (context) => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;
  const window = { startHour: 3, startMinute: 30, durationMs: 60_000.000001 };
  const now = nextStart(window, new Date()).getTime() - 50;
  context.mock.timers.enable({ apis: ['Date'], now });

  await using daily = startDailyMaintenance({ ...options, window });
  await until(() => observer.list.includes('scheduled'));
  assert.deepEqual(observer.starts, [new Date(now + 50)]);
  // The clock is read again after the sleep.
  context.mock.timers.setTime(now + 50);
  await until(() => observer.list.filter((event) => event === 'scheduled').length === 2);
  await daily[Symbol.asyncDispose]();

  assert.deepEqual(observer.list.slice(0, 2), ['scheduled', 'started']);
  assert.deepEqual(observer.list.slice(2, 4).sort(), ['a.git', 'b/c.git']);
  assert.deepEqual(observer.list.slice(4), ['completed 2', 'scheduled']);
  assert.equal(observer.starts[1]?.getTime(), nextStart(window, new Date(now + 51)).getTime());
});

test('daily maintenance that cannot read a storage is completed with the error', async (context) => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;
  const window = { startHour: 3, startMinute: 30, durationMs: 60_000 };
  const now = nextStart(window, new Date()).getTime() - 20;
  context.mock.timers.enable({ apis: ['Date'], now });

  await using daily = startDailyMaintenance({ ...options, names: ['unknown'], window });
  await until(() => observer.list.includes('scheduled'));
  context.mock.timers.setTime(now + 20);
  await until(() => observer.list.includes('completed undefined'));
  await daily[Symbol.asyncDispose]();

  assert.match(String(observer.errors[0]), /storage name not found/);
});

test('daily maintenance ends while it waits for its time', async () => {
  const { fixture, observer, options } = await start();
  await using _fixture = fixture;
  const inTwelveHours = new Date(Date.now() + 12 * 3_600_000);
  const window = { startHour: inTwelveHours.getHours(), startMinute: 0, durationMs: 1 };

  await startDailyMaintenance({ ...options, window })[Symbol.asyncDispose]();

  assert.deepEqual(observer.list, ['scheduled']);
});
