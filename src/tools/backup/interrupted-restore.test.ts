import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findManifest } from '#domain/backup/manifests';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { BackupCalls } from './backup-calls.ts';
import { restoreRemote } from './restore-remote.ts';
import { Servers } from './servers.ts';
import { StoreOperator } from './store-operator.ts';

/** Returns a store that aborts when an object is read whose key ends so. */
function abortingAt(store: ObjectStore, end: string, controller: AbortController): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (name === 'get' && String(args[0]).endsWith(end)) controller.abort();
        return value.apply(target, args);
      };
    },
  });
}

/** Starts a server with a backup of x.git, which has hooks. */
async function withBackup() {
  await using starting = new AsyncDisposableStack();
  const gitaly = starting.use(await startGitaly());
  const servers = starting.use(new Servers(new Map([['default', { address: gitaly.address, token: '' }]])));
  const store = await openStore(join(gitaly.directory, 'backups'));
  const path = join(gitaly.storagePath(), 'x.git');
  const server = { address: '', token: '' };
  const job = { server, storageName: 'default', relativePath: 'x.git', glProjectPath: '' };
  const operator = (from: ObjectStore): StoreOperator =>
    new StoreOperator(from, servers, { onBundles: () => {}, onSkipped: () => {} });
  initRepository(path, { commits: 2 });
  mkdirSync(join(path, 'custom_hooks'));
  writeFileSync(join(path, 'custom_hooks/update'), '');
  const { signal } = new AbortController();
  await operator(store).create(job, { id: 'full', incremental: false, latestId: '', signal });
  const restoreUntil = async (end: string): Promise<void> => {
    const stopping = new AbortController();
    const tool = operator(abortingAt(store, end, stopping));
    await assert.rejects(tool.restore(job, { id: 'full', useLatest: false, signal: stopping.signal }));
    assert.ok(stopping.signal.aborted);
  };
  /** Backs the repository up again, under the same name. */
  const backUp = async (): Promise<void> => {
    await operator(store).create(job, { id: 'full', incremental: false, latestId: '', signal });
  };
  const kept = starting.move();
  return { backUp, gitaly, job, path, restoreUntil, store, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

// Born failing: Ctrl-C left a repository without its hooks, which the next restore refused.
test('a restore that is interrupted leaves no half of a new repository', async () => {
  await using backup = await withBackup();
  rmSync(backup.path, { recursive: true });

  await backup.restoreUntil('.custom_hooks.tar');

  assert.equal(existsSync(backup.path), false);
});

test('a restore that is interrupted leaves the references of a repository that exists', async () => {
  await using backup = await withBackup();
  rmSync(backup.path, { recursive: true });
  initRepository(backup.path, { commits: 1 });
  gitOutput(backup.path, ['branch', '-m', 'main', 'main/of/others']);
  const before = gitOutput(backup.path, ['for-each-ref']);

  await backup.restoreUntil('.bundle');

  assert.equal(gitOutput(backup.path, ['for-each-ref']), before);
});

// A user saw: the repository was gone after Ctrl-C.
test('a restore of an empty backup that is interrupted leaves a repository', async () => {
  await using backup = await withBackup();
  const { gitaly, job, path, store } = backup;
  rmSync(path, { recursive: true });
  initRepository(path);
  mkdirSync(join(path, 'custom_hooks'));
  writeFileSync(join(path, 'custom_hooks/update'), '');
  await backup.backUp();
  const full = async (): Promise<void> => {
    rmSync(path, { recursive: true });
    initRepository(path, { commits: 1 });
  };

  await full();
  await backup.restoreUntil('.custom_hooks.tar');
  assert.equal(gitOutput(path, ['for-each-ref']), '');

  await full();
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Is interrupted when the repository was removed. */
  class Interrupted extends BackupCalls {
    override async remove(): Promise<void> {
      await super.remove();
      stopping.abort(new Error('stopped'));
    }
    override replacing(): BackupCalls {
      return new Interrupted(gitaly.connection, job, new AbortController().signal);
    }
  }
  const manifest = await findManifest(store, job, 'full', { signal });
  const calls = new Interrupted(gitaly.connection, job, signal);
  const options = { onBundles: () => {}, onSkipped: () => {}, signal };
  await assert.rejects(restoreRemote(store, calls, manifest, options), /canceled/);
  assert.equal(gitOutput(path, ['for-each-ref']), '');
});
