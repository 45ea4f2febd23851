import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { MaintenanceRuns, type RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { deletePool } from './delete-pool.ts';
import { linkMember } from './link-member.ts';

const { signal } = new AbortController();

/** Starts with a pool, a member, and a repository that borrows from the member. */
async function start() {
  const fixture = await StorageFixture.create();
  const { storages } = fixture;
  const pool = fixture.init(`@pools/4e/07/4e07${'0'.repeat(60)}.git`, { commits: 1 });
  const member = fixture.init('member.git');
  const behind = fixture.init('behind.git');
  await linkMember(pool, member, { borrowers: storages.borrowers, signal });
  await linkMember(member, behind, { borrowers: storages.borrowers, signal });
  const maintenance = new MaintenanceRuns();
  const remove = (options: Partial<Parameters<typeof deletePool>[2]> = {}) =>
    deletePool(storages, pool, { maintenance, signal, ...options });
  return { fixture, storages, pool, member, behind, maintenance, remove };
}

test('a pool that cannot be removed is an error of the removal', async () => {
  const { fixture, pool, remove } = await start();
  await using _fixture = fixture;
  const vote = async (): Promise<void> => {
    throw new Error('vote lost');
  };

  await assert.rejects(remove({ vote }), { message: /^remove: .*vote lost/ });

  assert.equal(existsSync(pool.path), true);
});

for (const name of ['member', 'behind'] as const) {
  test(`a pool is not deleted if its objects cannot be given to the repository ${name}`, async () => {
    const { fixture, pool, remove, ...repositories } = await start();
    await using _fixture = fixture;
    const { objectDirectory } = repositories[name];
    rmSync(`${objectDirectory}/pack`, { recursive: true });
    writeFileSync(`${objectDirectory}/pack`, '');
    fixture.runGit(pool.path, ['repack', '-q', '-a', '-d']);

    await assert.rejects(remove(), { code: 'EEXIST' });

    assert.equal(existsSync(pool.path), true);
  });
}

test('an abort keeps the pool', async () => {
  const { fixture, storages, pool, member, remove } = await start();
  await using _fixture = fixture;
  for (const { path } of [pool, member]) rmSync(`${path}/objects/info/alternates`, { force: true });
  rmSync(`${storages.locate({ storageName: 'default', relativePath: 'behind.git' }).path}`, {
    recursive: true,
  });
  await storages.borrowers.find(storages.all, signal);
  const abort = new AbortController();

  const removed = remove({ signal: abort.signal });
  abort.abort(new Error('enough'));

  await assert.rejects(removed, { message: 'enough' });
  assert.equal(existsSync(pool.path), true);
});

test('maintenance of the repositories is ended, and possible again afterwards', async () => {
  const { fixture, pool, member, behind, maintenance, remove } = await start();
  await using _fixture = fixture;
  const runs = await Promise.all(
    [pool, member, behind].map(async (repository) => {
      const run = await maintenance.tryStart(repository);
      run?.signal.addEventListener('abort', () => run[Symbol.dispose]());
      return run;
    }),
  );

  await remove();

  assert.deepEqual(
    runs.map((run) => run?.signal.aborted),
    [true, true, true],
  );
  for (const repository of [pool, member, behind]) assert.equal(maintenance.isRunning(repository), false);
});

test('members get the alternates of the pool in its place', async () => {
  const { fixture, storages, pool, member, remove } = await start();
  await using _fixture = fixture;
  const other = fixture.init(`@pools/aa/bb/aabb${'0'.repeat(60)}.git`, { commits: 2 });
  await linkMember(other, pool, { borrowers: storages.borrowers, signal });
  const alternates = `${member.path}/objects/info/alternates`;
  writeFileSync(alternates, '../../behind.git/objects\n', { flag: 'a' });
  writeFileSync(alternates, `${readFileSync(alternates, 'utf8').replace('objects..', 'objects\n..')}`);

  await remove();

  assert.equal(
    readFileSync(alternates, 'utf8'),
    `../../behind.git/objects\n../../${other.relativePath}/objects\n`,
  );
  fixture.runGit(member.path, ['fsck', '--connectivity-only']);
});

// Symptom: a repository that was linked while the pool was deleted lost what it had borrowed.
test('a repository that joins during the deletion gets the objects; a later one is refused', async () => {
  const { fixture, storages, pool, maintenance, remove } = await start();
  await using _fixture = fixture;
  const late = fixture.init('late.git');
  const link = (lender: Repository) => linkMember(lender, late, { borrowers: storages.borrowers, signal });
  const commit = fixture.runGit(pool.path, ['rev-parse', 'main']);
  let joined = false;
  const runs: RecordedRuns = {
    isRunning: (repository) => maintenance.isRunning(repository),
    tryStart: (repository) => maintenance.tryStart(repository),
    takeOver: async (repository, waiting) => {
      // The members are listed.
      if (repository.path !== pool.path && !joined) await link(pool);
      if (repository.path !== pool.path) joined = true;
      return await maintenance.takeOver(repository, waiting);
    },
  };

  await remove({ maintenance: runs });

  assert.equal(existsSync(pool.path), false);
  assert.equal(fixture.runGit(late.path, ['cat-file', '-t', commit]), 'commit');
  await assert.rejects(link(pool), {
    code: 'FAILED_PRECONDITION',
    message: 'object pool is not a valid git repository',
  });
  assert.equal(existsSync(`${late.path}/objects/info/alternates`), false);
});

test('a deletion that ends in the middle leaves all readable, and the next one finishes', async () => {
  const { fixture, pool, member, behind, maintenance, remove } = await start();
  await using _fixture = fixture;
  const commit = fixture.runGit(pool.path, ['rev-parse', 'main']);
  const other = fixture.init('other.git');
  await linkMember(pool, other, { borrowers: fixture.storages.borrowers, signal });
  const abort = new AbortController();
  const runs: RecordedRuns = {
    isRunning: (repository) => maintenance.isRunning(repository),
    tryStart: (repository) => maintenance.tryStart(repository),
    takeOver: async (repository, waiting) => {
      if (repository.path === other.path) abort.abort(new Error('enough'));
      return await maintenance.takeOver(repository, waiting);
    },
  };

  await assert.rejects(remove({ maintenance: runs, signal: abort.signal }));

  const check = (): void => {
    for (const { path } of [member, behind, other])
      assert.equal(fixture.runGit(path, ['cat-file', '-t', commit]), 'commit');
  };
  assert.equal(existsSync(`${member.path}/objects/info/alternates`), false);
  assert.equal(existsSync(`${other.path}/objects/info/alternates`), true);
  check();
  await remove();
  assert.equal(existsSync(pool.path), false);
  check();
});
