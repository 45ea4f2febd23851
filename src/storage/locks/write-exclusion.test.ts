import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { ownerSuffix, ownIdentity } from '#base/process-identity';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { pendingDirectory } from '../cache/cache-generations.ts';
import { stateRoot } from '../storage-layout.ts';
import { beginChangeInTurn, excludeChanges } from './write-exclusion.ts';

const { signal } = new AbortController();
const onLinux = { skip: process.platform !== 'linux' && 'only Linux lists the processes' };
const DEAD_PID = spawnSync('true').pid;

test('an exclusion waits for changes under way, and later ones wait for its end', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const events: string[] = [];
  const first = await beginChangeInTurn(repository, { signal });

  const excluding = excludeChanges(repository, signal).then((exclusion) => {
    events.push('excluded');
    return exclusion;
  });
  const end = (): Promise<void> => {
    events.push('first ends');
    return first.end();
  };
  setTimeout(end, 50); // an exclusion that does not wait comes first
  const exclusion = await excluding;
  const changes = [1, 2].map(async () => {
    const change = await beginChangeInTurn(repository, { signal });
    events.push('change');
    return change;
  });
  await assert.rejects(excludeChanges(repository, signal), { code: 'ABORTED' });
  events.push('ends');
  await exclusion[Symbol.asyncDispose]();
  for (const change of await Promise.all(changes)) await change.end();

  assert.deepEqual(events, ['first ends', 'excluded', 'ends', 'change', 'change']);
  assert.deepEqual(readdirSync(dirname(pendingDirectory(repository))), ['pending']);
  assert.deepEqual(readdirSync(pendingDirectory(repository)), []);
});

test('a wait ends with its call', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const reason = new Error('the caller left');
  const ending = () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 30); // in the middle of the wait
    return controller;
  };

  const change = await beginChangeInTurn(repository, { signal });
  await assert.rejects(excludeChanges(repository, ending().signal), reason);
  await change.end();
  await using _exclusion = await excludeChanges(repository, signal);
  await assert.rejects(beginChangeInTurn(repository, ending()), reason);
});

test('what a killed process held keeps nobody waiting', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const pending = pendingDirectory(repository);
  mkdirSync(pending, { recursive: true });
  symlinkSync(JSON.stringify({ ...ownIdentity(), pid: DEAD_PID }), `${pending}-exclusive.lock`);
  writeFileSync(`${pending}/1${ownerSuffix().replace(/\.\d+\.\d+$/, `.${DEAD_PID}.1`)}`, '');

  await (await beginChangeInTurn(repository, { signal })).end();
  await using _exclusion = await excludeChanges(repository, signal);
});

test('an exclusion waits for the git of a killed process', onLinux, async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const pending = pendingDirectory(repository);
  mkdirSync(pending, { recursive: true });
  writeFileSync(`${pending}/1${ownerSuffix().replace(/\.\d+\.\d+$/, `.${DEAD_PID}.1`)}`, '');
  // In a session of its own, and no child of this process.
  const script = 'setsid sleep 600 >/dev/null 2>&1 & echo $!';
  const cwd = `${repository.storage.path}/${repository.relativePath}`;
  const pid = Number(spawnSync('sh', ['-c', script], { cwd, encoding: 'utf8' }).stdout);
  const events: string[] = [];

  const excluding = excludeChanges(repository, signal).then((exclusion) => {
    events.push('excluded');
    return exclusion;
  });
  setTimeout(() => {
    events.push('git ends');
    process.kill(pid);
  }, 50); // an exclusion that does not wait comes first
  await using _exclusion = await excluding;

  assert.deepEqual(events, ['git ends', 'excluded']);
});

// Born failing: after a full disk, changes of the repository waited for five minutes and failed,
// until the server was started again.
test('an exclusion that cannot be marked leaves no lock', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await (await beginChangeInTurn(repository, { signal })).end();
  const state = stateRoot(repository.storage);
  const own = `${state}/${readdirSync(state).find((name) => name.startsWith('mark-'))}`;
  unlinkSync(own);
  symlinkSync(`${own}/missing`, own); // what the marks are links to cannot be made

  await assert.rejects(excludeChanges(repository, signal), { code: 'ELOOP' });

  assert.deepEqual(readdirSync(dirname(pendingDirectory(repository))), ['pending']);
  unlinkSync(own);
  await using _exclusion = await excludeChanges(repository, signal);
});

test('an exclusion whose mark cannot be removed leaves no lock', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const pending = pendingDirectory(repository);
  const exclusion = await excludeChanges(repository, signal);
  const [mark = ''] = readdirSync(pending);
  unlinkSync(`${pending}/${mark}`);
  mkdirSync(`${pending}/${mark}`);

  await assert.rejects(async () => await exclusion[Symbol.asyncDispose]());

  assert.deepEqual(readdirSync(dirname(pending)), ['pending']);
});
