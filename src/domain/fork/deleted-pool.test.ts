import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { Limit } from '#base/limits/limit';
import { pendingDirectory } from '#storage/cache/cache-generations';
import type { Repository } from '#storage/repository';
import { tempRoot } from '#storage/storage-layout';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { MaintenanceRuns, type RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { deletePool } from '../object-pool/delete-pool.ts';
import { excludeNewMembers } from '../object-pool/pool-membership.ts';
import { LinkedForks } from './linked-forks.ts';
import { findSourcePool } from './source-pool.ts';

const { signal } = new AbortController();

const at = (relativePath: string) => ({ storageName: 'default', relativePath });

/** A source with a fork, and their pool. */
async function start() {
  const fixture = await StorageFixture.create();
  const { storages } = fixture;
  const source = fixture.init('source.git', { commits: 3 });
  const forks = new LinkedForks(storages, new Limit<string>({ capacityPerOwner: 1 }));
  const fork = async (name: string, branch?: Buffer) => {
    assert.equal(await forks.create(at(name), source.target, { branch, signal }), true);
    return storages.open(at(name));
  };
  await fork('first.git');
  const pool = await findSourcePool(storages, source);
  assert.ok(pool);
  return { fixture, storages, source, pool, fork };
}

// Symptom: forks that were made while their pool was deleted had no objects.
test('a fork that is made while the pool gives its objects away gets them, too', async () => {
  const { fixture, storages, pool, fork } = await start();
  await using _fixture = fixture;
  const runs = new MaintenanceRuns();
  let late: Repository | undefined;
  const maintenance: RecordedRuns = {
    isRunning: (repository) => runs.isRunning(repository),
    tryStart: (repository) => runs.tryStart(repository),
    takeOver: async (repository, waiting) => {
      // The members are listed; the first of them follows.
      if (repository.path !== pool.path) late ??= await fork('late.git');
      return await runs.takeOver(repository, waiting);
    },
  };

  await deletePool(storages, pool, { maintenance, signal });

  assert.ok(late);
  assert.equal(existsSync(pool.path), false);
  for (const name of ['source.git', 'first.git', 'late.git']) {
    const { path } = storages.open(at(name));
    fixture.runGit(path, ['fsck', '--strict']);
    assert.equal(fixture.runGit(path, ['rev-list', '--count', 'main']), '3');
  }
});

test('a fork that is being published keeps the pool until it has its objects', async () => {
  const { fixture, storages, pool, fork } = await start();
  await using _fixture = fixture;
  let deleted: Promise<void> | undefined;
  let wasThere = false;
  storages.lifecycleRecorder = {
    // Called for the fork when it is complete, but not known to be a member.
    recordWhile: async ({ kind }, make) => {
      if (kind === 'created') {
        deleted = deletePool(storages, pool, { maintenance: new MaintenanceRuns(), signal });
        const members = { storage: pool.storage, relativePath: `${pool.relativePath}/members` };
        const lock = `${pendingDirectory(members)}-exclusive.lock`;
        await until(() => !existsSync(pool.path) || lstatSync(lock, { throwIfNoEntry: false }) !== undefined);
        wasThere = existsSync(pool.path);
      }
      await make();
    },
  };

  const { path } = await fork('late.git');

  assert.equal(wasThere, true);
  await deleted;
  assert.equal(existsSync(pool.path), false);
  fixture.runGit(path, ['fsck', '--strict']);
  assert.equal(fixture.runGit(path, ['rev-list', '--count', 'main']), '3');
  assert.deepEqual(
    readdirSync(`${path}/objects/info`).filter((name) => name === 'alternates'),
    [],
  );
});

/** Begins a fork that has to wait, when it is complete, until nobody excludes new members. */
async function startWaitingFork({ fixture, pool, source }: Awaited<ReturnType<typeof start>>) {
  const exclusion = await excludeNewMembers(pool, signal);
  const ending = new AbortController();
  const forks = new LinkedForks(fixture.storages, new Limit<string>({ capacityPerOwner: 1 }));
  const options = { branch: undefined, signal: ending.signal };
  const forking = forks.create(at('late.git'), source.target, options);
  forking.catch(() => {}); // the test awaits it later
  const drafts = tempRoot(pool.storage);
  await until(() =>
    readdirSync(drafts).some((name) => existsSync(`${drafts}/${name}/objects/info/alternates`)),
  );
  return { exclusion, ending, forking };
}

test('a fork is to be tried again if its pool was deleted meanwhile', async () => {
  const started = await start();
  await using _fixture = started.fixture;
  const { exclusion, forking } = await startWaitingFork(started);

  rmSync(started.pool.path, { recursive: true });
  await exclusion[Symbol.asyncDispose]();

  await assert.rejects(forking, { code: 'ABORTED', message: 'the object pool of the source was deleted' });
});

test('a fork that is cancelled while it waits for its pool fails with that', async () => {
  const started = await start();
  await using _fixture = started.fixture;
  const { exclusion, ending, forking } = await startWaitingFork(started);
  const reason = new Error('the client has left');

  ending.abort(reason);

  await assert.rejects(forking, (error) => error === reason);
  await exclusion[Symbol.asyncDispose]();
});
