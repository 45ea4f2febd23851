// Own process: it removes the files of processes that have ended.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { ownerSuffix } from '#base/process-identity';
import { initRepository } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { type BackgroundJobsObserver, startBackgroundJobs } from './background-jobs.ts';
import { pendingDirectory } from './cache/cache-generations.ts';
import { lockRepository } from './locks/repository-lock.ts';
import { tempRoot } from './storage-layout.ts';
import type { Storages } from './storages.ts';

/** Name suffix of a process that has ended. */
const DEAD = ownerSuffix().replace(/\.\d+\.\d+$/, `.${spawnSync('true').pid}.1`);

/** Creates a repository that a dead process was changing. @returns the lock that it has left. */
function interrupted(storages: Storages, storageName: string, relativePath: string): string {
  const storage = storages.storage(storageName);
  const path = `${storage.path}/${relativePath}`;
  initRepository(path);
  const pending = pendingDirectory({ storage, relativePath });
  mkdirSync(pending, { recursive: true });
  writeFileSync(`${pending}/1${DEAD}`, '');
  writeFileSync(`${path}/packed-refs.lock`, '');
  return `${path}/packed-refs.lock`;
}

function observer(failed: unknown[]): BackgroundJobsObserver {
  const ignore = (): void => {};
  const onFailed = (_: string, error: unknown): void => void failed.push(error);
  return {
    ...{ onStep: ignore, onLeftover: ignore, onRemoved: ignore, onTempCleaned: ignore, onCounted: ignore },
    onFailed,
  };
}

// It was deleted: a call that held the lock might yet fail, and there was no repository any more.
test('a repository that was being replaced is kept while another call locks its path', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const { path } = fixture.init('a.git');
  const left = `${tempRoot(storage)}/a.git+replaced-1${DEAD}`;
  mkdirSync(left, { recursive: true });
  renameSync(path, `${left}/repo`);
  writeFileSync(`${left}/path`, 'a.git');
  const cleaned = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    await using _jobs = startBackgroundJobs(storages, {
      ...observer([]),
      onTempCleaned: (of) => of === storage && resolve(),
    });
    await promise;
  };

  {
    await using _lock = await lockRepository(storage, path);
    await cleaned();
  }
  await cleaned();

  assert.ok(existsSync(`${path}/HEAD`));
  assert.equal(existsSync(left), false);
});

// Born failing: the locks of all repositories that came later stayed, also those of other storages.
test('one repository that cannot be read does not keep others from being cleaned', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const damaged = ['a.git', 'z.git'].map((name) => interrupted(storages, 'default', name));
  for (const lock of damaged) {
    const refs = lock.replace('packed-refs.lock', 'refs');
    rmSync(refs, { recursive: true });
    symlinkSync(refs, refs); // reading it fails
  }
  const locks = [interrupted(storages, 'default', 'm.git'), interrupted(storages, 'second', 'm.git')];
  const failed: unknown[] = [];

  {
    await using jobs = startBackgroundJobs(storages, observer(failed));
    // What was made within the tick of the clock is left to the next run.
    await until(() => {
      jobs.cleanAfterKilled();
      return locks.every((lock) => !existsSync(lock));
    }, 'the locks are removed');
  }

  assert.match(String(failed[0]), /ELOOP/);
});

test('a storage whose temporary files cannot be read does not keep another from being cleaned', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const [first = '', second = ''] = storages.all.map(tempRoot);
  symlinkSync('temp', `${fixture.root}/temp`);
  mkdirSync(`${second}/repo1${DEAD}`, { recursive: true });
  mkdirSync(dirname(first), { recursive: true });
  symlinkSync(`${fixture.root}/temp`, first); // reading it fails
  const failed: unknown[] = [];

  {
    await using _jobs = startBackgroundJobs(storages, observer(failed));
    await until(() => readdirSync(second).length === 0, 'the other storage is cleaned');
  }

  assert.match(String(failed[0]), /ELOOP/);
});
