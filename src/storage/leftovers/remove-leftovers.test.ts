// Own process: it looks for files of processes that have ended, and of this one

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ownerSuffix, ownIdentity } from '#base/process-identity';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { beginChange, currentGeneration } from '../cache/cache-generations.ts';
import { cleanCaches } from '../cache/clean-caches.ts';
import { cleanTempDirectories, createTempDirectory } from '../temp-directories.ts';
import { listLeftovers, removeLeftovers, UNKNOWN_DEAD_MS } from './remove-leftovers.ts';
import { removeStaleLocks } from './stale-locks.ts';
import { isWorkedIn } from './working-processes.ts';

/** Name suffix of a process that has ended. */
const DEAD = ownerSuffix().replace(/\.\d+\.\d+$/, `.${spawnSync('true').pid}.1`);
const UNKNOWN = ownerSuffix().replace(/^\.[0-9a-f]+/, '.00000000');

/** Leftovers of interrupted changes, with their kinds. */
const KINDS = {
  'HEAD.lock': 'locks',
  'gitlab-worktree/am-0123/file': 'worktrees',
  'objects/12/tmp_obj_abcdef': 'objects',
  'objects/info/commit-graph.lock': 'locks',
  'objects/pack/multi-pack-index.lock': 'locks',
  'objects/pack/tmp_pack_abcdef': 'objects',
  'objects/tmp_obj_0123456789abcdef': 'objects',
  'objects/tmp_objdir-incoming-abcdef/pack/tmp_pack_1': 'objectdirs',
  'packed-refs.lock': 'packedrefslock',
  'packed-refs.new': 'packedrefsnew',
  'ref_migration.a1B2c3/reftable/tables.list': 'refmigrations',
  'refs/heads/main.lock': 'reflocks',
  'reftable/0x000000000001-0x000000000002-40832186.temp.ok6Aof': 'reftablelocks',
  'reftable/tables.list.lock': 'reftablelocks',
} as const;
const LEFT = Object.keys(KINDS);

function pendingOf({ storage, relativePath }: Repository): string {
  return `${storage.path}/+gitaly/state/${relativePath}/pending`;
}

/** Creates a repository as a process leaves it that dies in the middle of a change. */
async function interrupted(fixture: StorageFixture, owner: string): Promise<Repository> {
  const repository = fixture.init('group/a.git', { commits: 1 });
  for (const name of LEFT) {
    mkdirSync(dirname(`${repository.path}/${name}`), { recursive: true });
    writeFileSync(`${repository.path}/${name}`, 'half');
  }
  const identity = JSON.stringify({ ...ownIdentity(), pid: spawnSync('true').pid });
  symlinkSync(identity, `${repository.path}.lock`);
  mkdirSync(pendingOf(repository), { recursive: true });
  writeFileSync(`${pendingOf(repository)}/1${owner}`, '');
  await delay(100); // the change that left this is older than the search
  return repository;
}

function leftIn({ path }: Repository): string[] {
  return LEFT.filter((name) => existsSync(`${path}/${name}`));
}

test('what a dead process left in a repository that it changed is listed, and removed', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  const { storage } = repository;

  const listed = await Array.fromAsync(listLeftovers(storage));
  const { removed, postponed } = await removeLeftovers(storage);

  assert.deepEqual(removed.map(({ path }) => path).toSorted(), listed.toSorted());
  const kinds = [...Object.values(KINDS), 'locks']; // and the lock next to the repository
  assert.deepEqual(removed.map(({ kind }) => kind).toSorted(), kinds.toSorted());
  assert.deepEqual(postponed, []);
  assert.deepEqual(leftIn(repository), []);
  assert.equal(existsSync(`${repository.path}.lock`), false);
  assert.deepEqual(readdirSync(pendingOf(repository)), []);
  assert.equal(fixture.runGit(repository.path, ['fsck', '--strict']), '');
  assert.ok(await currentGeneration(repository), 'its answers are cached again');
  assert.deepEqual(await removeLeftovers(storage), { removed: [], postponed: [], failures: [] });
});

// Symptom: it stayed, and the mark by which it would have been found was gone.
test('a file of the last moment of a dead process is removed by a later search', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  const { storage } = repository;
  const lock = `${repository.path}/config.lock`;
  writeFileSync(lock, 'half');
  const stats = statSync(lock);
  const bornMs = stats.birthtimeMs || stats.ctimeMs;

  const early = await removeLeftovers(storage, { nowMs: () => bornMs + 10 });

  assert.deepEqual(early.postponed, [repository.relativePath]);
  assert.deepEqual([leftIn(repository), existsSync(lock)], [[], true]);
  const late = await removeLeftovers(storage, { nowMs: () => bornMs + 1000 });
  assert.deepEqual(late.removed, [{ kind: 'locks', path: lock }]);
  assert.deepEqual(late.postponed, []);
  assert.deepEqual(readdirSync(pendingOf(repository)), []);
});

test('what cannot be removed is reported, and removed by a later search', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  const unreadable = `${repository.path}/ref_migration.a1B2c3/target`;
  mkdirSync(unreadable); // where a file is expected

  const { failures } = await removeLeftovers(repository.storage);

  assert.match(failures.join(), /^Error: EISDIR/);
  assert.equal(readdirSync(pendingOf(repository)).length, 1);
  rmdirSync(unreadable);
  assert.deepEqual((await removeLeftovers(repository.storage)).failures, []);
  assert.deepEqual(leftIn(repository), []);
});

test('what a process of another container left is removed after three days', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, UNKNOWN);
  const { storage } = repository;
  const after = (ms: number) => ({ nowMs: () => Date.now() + ms });

  await cleanCaches(storage, { nowMs: after(UNKNOWN_DEAD_MS / 2).nowMs() });
  const early = await removeLeftovers(storage, after(UNKNOWN_DEAD_MS - 60_000));
  assert.deepEqual(early, { removed: [], postponed: [], failures: [] });
  assert.deepEqual(leftIn(repository), LEFT);

  await removeLeftovers(storage, after(UNKNOWN_DEAD_MS + 60_000));

  assert.deepEqual(leftIn(repository), []);
  assert.deepEqual(readdirSync(pendingOf(repository)), []);
});

test('what is three days old goes although an unknown process is at work, the rest later', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, UNKNOWN);
  const { storage } = repository;
  const nowMs = () => Date.now() + UNKNOWN_DEAD_MS + 60_000;
  const young = `${pendingOf(repository)}/2${UNKNOWN}`;
  writeFileSync(young, '');
  utimesSync(young, nowMs() / 1000, nowMs() / 1000);

  await removeLeftovers(storage, { nowMs });

  assert.deepEqual(leftIn(repository), []);
  assert.equal(readdirSync(pendingOf(repository)).length, 2, 'younger files are looked for later');
});

test('changes in a namespace that is called like the directory of marks are found', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('pending/a.git');
  writeFileSync(`${repository.path}/packed-refs.lock`, '');
  mkdirSync(pendingOf(repository), { recursive: true });
  writeFileSync(`${pendingOf(repository)}/1${DEAD}`, '');
  await delay(100); // as above

  const { removed } = await removeLeftovers(repository.storage);

  assert.deepEqual(
    removed.map(({ kind }) => kind),
    ['packedrefslock'],
  );
});

test('a repository that a process of another machine may change is left alone', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  writeFileSync(`${pendingOf(repository)}/2${UNKNOWN}`, '');

  const listed = await Array.fromAsync(listLeftovers(repository.storage));
  const { removed } = await removeLeftovers(repository.storage);

  assert.deepEqual(listed, [`${repository.path}.lock`]);
  assert.deepEqual(removed, [{ kind: 'locks', path: `${repository.path}.lock` }]);
  assert.deepEqual(leftIn(repository), LEFT);
});

test('a change of this process keeps its files, and those of a process that died before it go', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  const change = await beginChange(repository);

  const { postponed } = await removeLeftovers(repository.storage);

  // The files are newer than this process.
  assert.deepEqual(postponed, ['group/a.git']);
  assert.deepEqual(leftIn(repository), LEFT);
  await change.end();
  assert.deepEqual((await removeLeftovers(repository.storage)).postponed, []);
  assert.deepEqual(leftIn(repository), []);
});

test('a repository in which a process of the dead still works is looked at later', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  // Not a child of ours, as git is not once its server is dead.
  const shell = spawn('sh', ['-c', 'setsid sh -c "echo $$; exec sleep 60" & read x; kill $!'], {
    cwd: repository.path,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(shell.stdout, 'data');

  const { removed, postponed } = await removeLeftovers(repository.storage);

  shell.stdin.end('\n');
  await once(shell, 'exit');
  assert.deepEqual(removed, [{ kind: 'locks', path: `${repository.path}.lock` }]);
  assert.deepEqual(postponed, ['group/a.git']);
  assert.deepEqual(leftIn(repository), LEFT);
});

test('marks of the dead outlive the cleaning of caches, and count as changes for an hour', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, DEAD);
  const later = Date.now() + 2 * 60 * 60 * 1000;

  await cleanCaches(repository.storage, { nowMs: later });

  assert.equal(await currentGeneration(repository), undefined);
  assert.ok(await currentGeneration(repository, later));
  assert.equal(readdirSync(pendingOf(repository)).length, 1);
});

test('temporary directories of the dead go at once', async () => {
  await using fixture = await StorageFixture.create();
  const { storage } = fixture;
  await using own = await createTempDirectory(storage, 'quarantine-');
  const root = dirname(own.path);
  mkdirSync(`${root}/repo1${DEAD}`);
  mkdirSync(`${root}/repo2${UNKNOWN}`);
  mkdirSync(`${root}/repo3`);
  symlinkSync(JSON.stringify({ ...ownIdentity(), pid: spawnSync('true').pid }), `${root}/lock-1`);

  const removed = await cleanTempDirectories(storage);

  assert.deepEqual(removed.toSorted(), ['lock-1', `repo1${DEAD}`]);
  assert.equal(readdirSync(root).length, 3);
});

test('a storage that no server has used has no leftovers', async () => {
  await using fixture = await StorageFixture.create();

  assert.deepEqual(await removeLeftovers(fixture.storage), { removed: [], postponed: [], failures: [] });
  assert.deepEqual(await Array.fromAsync(listLeftovers(fixture.storage)), []);
});

// Born failing: the lock of a git that was killed, while its server continued, stopped all copies
// to a repository. No mark led to it at the next start.
test('locks that nobody holds are removed before a change', async () => {
  await using fixture = await StorageFixture.create();
  const repository = await interrupted(fixture, ownerSuffix());
  const locks = LEFT.filter((name) => name.endsWith('.lock')).toSorted();
  const laterMs = Date.now() + 61_000;
  const removed = async (nowMs?: number): Promise<readonly string[]> =>
    (await removeStaleLocks(repository, nowMs)).map((path) => path.slice(repository.path.length + 1));

  assert.deepEqual(await removed(), [], 'they are young');
  const other = await beginChange(repository);
  assert.deepEqual(await removed(laterMs), [], 'another change is under way');
  await other.end();
  // Not of this process: its parent has ended.
  const orphan = spawnSync('sh', ['-c', 'sleep 60 >/dev/null 2>&1 & echo $!'], { cwd: repository.path });
  assert.deepEqual(await removed(laterMs), [], 'a process works there');
  process.kill(Number(orphan.stdout.toString()));
  await until(async () => !(await isWorkedIn(repository.path)));

  assert.deepEqual((await removed(laterMs)).toSorted(), locks);
  assert.deepEqual(leftIn(repository).toSorted(), LEFT.filter((name) => !name.endsWith('.lock')).toSorted());
});
