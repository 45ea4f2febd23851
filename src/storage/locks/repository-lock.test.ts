import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  lutimesSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type TestContext, test } from 'node:test';
import { isRunning, isUncollected, ownIdentity } from '#base/process-identity';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import type { Storage } from '../repository-target.ts';
import { tempRoot } from '../storage-layout.ts';
import { LockTakenError, lockRepository, UNKNOWN_OWNER_MAX_AGE_MS } from './repository-lock.ts';

/** Program whose main thread ends; those of Node's pool stay. */
const END_OF_THREAD = `const exit = require('koffi').load(null).func('long syscall(long number, int status)');
exit(process.arch === 'arm64' ? 93 : 60, 0);`;

function arrange(context: TestContext): { storage: Storage; repository: string; lock: string } {
  const path = makeScratchDirectory('lock');
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return { storage: { name: 'default', path }, repository: `${path}/x.git`, lock: `${path}/x.git.lock` };
}

/** Returns the identity of a process that has ended and was reaped. */
function deadProcess(): string {
  const { pid } = spawnSync('true');
  return JSON.stringify({ ...ownIdentity(), pid });
}

function makeOld(file: string): void {
  const seconds = (Date.now() - UNKNOWN_OWNER_MAX_AGE_MS) / 1000 - 60;
  lutimesSync(file, seconds, seconds);
}

test('a lock keeps everybody else out until it is released', async (context) => {
  const { storage, repository, lock } = arrange(context);
  {
    await using _lock = await lockRepository(storage, repository);
    await assert.rejects(lockRepository(storage, repository), LockTakenError);
    makeOld(lock); // its owner runs, however long it takes
    await assert.rejects(lockRepository(storage, repository), LockTakenError);
  }
  assert.deepEqual(readdirSync(storage.path), []);
});

for (const { whose, content } of [
  { whose: 'of a process that was killed', content: deadProcess },
  {
    whose: 'of a process whose pid was given again',
    content: () => JSON.stringify({ ...ownIdentity(), startTime: '1' }),
  },
]) {
  test(`a lock ${whose} is taken away at the next use`, async (context) => {
    const { storage, repository, lock } = arrange(context);
    symlinkSync(content(), lock);

    await using _lock = await lockRepository(storage, repository);

    assert.deepEqual(JSON.parse(readlinkSync(lock)), ownIdentity());
    assert.deepEqual(readdirSync(tempRoot(storage)), []);
  });
}

for (const { whose, content } of [
  { whose: 'that does not say whose it is', content: '' },
  { whose: 'with other content', content: 'null' },
  {
    whose: 'of a process on another machine',
    content: JSON.stringify({ ...ownIdentity(), place: 'elsewhere' }),
  },
]) {
  test(`a lock ${whose} is believed for a day`, async (context) => {
    const { storage, repository, lock } = arrange(context);
    if (content === '')
      writeFileSync(lock, ''); // Gitaly's
    else symlinkSync(content, lock);

    await assert.rejects(lockRepository(storage, repository), LockTakenError);
    makeOld(lock);
    await using _lock = await lockRepository(storage, repository);

    assert.deepEqual(JSON.parse(readlinkSync(lock)), ownIdentity());
  });
}

test('of many that find the same stale lock one gets it', async (context) => {
  const { storage, repository, lock } = arrange(context);
  for (let round = 0; round < 20; round++) {
    symlinkSync(deadProcess(), lock);

    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => lockRepository(storage, repository)),
    );

    const winners = results.filter((result) => result.status === 'fulfilled');
    assert.equal(winners.length, 1);
    for (const { value } of winners) await value[Symbol.asyncDispose]();
    rmSync(lock, { force: true });
  }
});

test('a process is there until it has ended, also while nobody has collected it', async () => {
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const identity = { ...ownIdentity(), pid: child.pid ?? 0, startTime: stat.split(' ')[21] ?? '' };

  assert.equal(isRunning(ownIdentity()), true);
  assert.equal(isRunning(identity), true);
  child.kill('SIGKILL');
  while (isRunning(identity)) await new Promise(setImmediate);
  assert.equal(isRunning({ ...identity, place: 'elsewhere' }), undefined);
});

// Symptom: others took the lock of a process whose threads still wrote.
test('a process whose main thread has ended is there until its other threads have', async (context) => {
  const child = spawn(process.execPath, ['-e', END_OF_THREAD], { cwd: import.meta.dirname });
  context.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const stat = (): string[] => readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ');
  await until(() => stat()[2] === 'Z', 'the end of the main thread');
  const identity = { ...ownIdentity(), pid, startTime: stat()[21] ?? '' };

  assert.equal(isRunning(identity), true);
  assert.equal(isUncollected(pid), false);
  child.kill('SIGKILL');
  await until(() => isRunning(identity) === false, 'the end of the process');
});

test('a lock of an unknown owner is respected for a day', async (context) => {
  const { storage, repository, lock } = arrange(context);
  const age = (hours: number): void => {
    const seconds = Date.now() / 1000 - hours * 3600;
    writeFileSync(lock, '');
    lutimesSync(lock, seconds, seconds);
  };

  age(23);
  await assert.rejects(lockRepository(storage, repository), LockTakenError);
  age(25);
  await using _lock = await lockRepository(storage, repository);
});
