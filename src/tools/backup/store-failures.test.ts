import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findManifest } from '#domain/backup/manifests';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { FailingStore } from '#testkit/stores/failing-store';
import { BackupCalls } from './backup-calls.ts';
import { restoreRemote } from './restore-remote.ts';
import { Servers } from './servers.ts';
import { StoreOperator } from './store-operator.ts';

const { signal } = new AbortController();

function stateOf(path: string): string[] {
  gitOutput(path, ['fsck', '--full', '--no-dangling']);
  return [gitOutput(path, ['symbolic-ref', 'HEAD']), gitOutput(path, ['for-each-ref'])];
}

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

test('a store that fails at any operation leaves whole backups and whole repositories', async () => {
  await using gitaly = await startGitaly();
  await using servers = new Servers(new Map([['default', { address: gitaly.address, token: '' }]]));
  const store = await openStore(join(gitaly.directory, 'backups'));
  const operator = (failing: number) => {
    const failingStore = new FailingStore(store, failing);
    return {
      failingStore,
      tool: new StoreOperator(failingStore, servers, { onBundles: () => {}, onSkipped: () => {} }),
    };
  };
  const { tool } = operator(Number.POSITIVE_INFINITY);
  const job = {
    server: { address: '', token: '' },
    storageName: 'default',
    relativePath: 'x.git',
    glProjectPath: '',
  };
  const path = join(gitaly.storagePath(), 'x.git');
  const latest = { id: '', useLatest: true, signal };
  initRepository(path, { commits: 2 });
  await tool.create(job, { id: 'full', incremental: false, latestId: '', signal });
  const old = stateOf(path);

  let operations = 0;
  for (let failing = 1, isOver = false; !isOver; failing++) {
    const options = { id: `increment-${failing}`, incremental: true, latestId: 'full', signal };
    addCommit(path, 100 + failing);
    const current = stateOf(path);
    const { failingStore, tool: failingTool } = operator(failing);
    const outcome = await failingTool.create(job, options).then(
      () => 'made',
      () => 'failed',
    );
    isOver = !failingStore.hasFailed;
    assert.equal(outcome, isOver ? 'made' : 'failed', `operation ${failing}`);

    // The backup is there as a whole, or not at all.
    const found = await store.head(`manifests/default/x.git/${options.id}.toml`, { signal });
    rmSync(path, { recursive: true });
    await tool.restore(job, { id: found === undefined ? 'full' : options.id, useLatest: false, signal });
    assert.deepEqual(stateOf(path), found === undefined ? old : current, `operation ${failing}`);
    operations++;
  }
  assert.ok(operations > 5, `${operations} operations`);
  const wanted = stateOf(path);

  for (let failing = 1, isOver = false; !isOver; failing++) {
    rmSync(path, { recursive: true });
    const { failingStore, tool: failingTool } = operator(failing);
    const outcome = await failingTool.restore(job, latest).then(
      () => 'restored',
      () => 'failed',
    );
    isOver = !failingStore.hasFailed;
    const { isNoticed } = failingStore;
    assert.equal(outcome, isNoticed ? 'failed' : 'restored', `operation ${failing}`);
    if (isNoticed) assert.equal(existsSync(path), false, `half a repository after operation ${failing}`);
    else assert.deepEqual(stateOf(path), wanted);
    await tool.restore(job, latest);
    assert.deepEqual(stateOf(path), wanted);
  }
});

test('after any failure of a repeated backup with pointers, a whole one is restored', async () => {
  await using gitaly = await startGitaly();
  await using servers = new Servers(new Map([['default', { address: gitaly.address, token: '' }]]));
  const store = await openStore(join(gitaly.directory, 'backups'));
  const server = { address: '', token: '' };
  const job = { server, storageName: 'default', relativePath: 'x.git', glProjectPath: '' };
  const path = join(gitaly.storagePath(), 'x.git');
  const hooks = join(path, 'custom_hooks');
  const onSkipped = (): void => assert.fail('references are missing');
  const operator = (failingStore: ObjectStore): StoreOperator =>
    new StoreOperator(failingStore, servers, { onBundles: () => {}, onSkipped }, 'pointer');
  const create = (failingStore: ObjectStore, incremental: boolean): Promise<void> =>
    operator(failingStore).create(job, { id: 'full', incremental, latestId: '', signal });
  const state = (): string => [...stateOf(path), existsSync(hooks)].join('\n');
  initRepository(path, { commits: 3 });
  mkdirSync(hooks);
  writeFileSync(join(hooks, 'update'), '');
  await create(store, false);
  addCommit(path, 4);
  await create(store, true);
  let stored = state();

  for (const before of ['an increment', 'a full backup'])
    for (let failing = 1, isOver = false; !isOver; failing++) {
      gitOutput(path, ['update-ref', 'refs/heads/main', 'main~1']);
      addCommit(path, 100 + failing);
      rmSync(hooks, { recursive: true, force: true });
      const current = state();
      const failingStore = new FailingStore(store, failing);
      const outcome = await create(failingStore, false).then(
        () => 'made',
        () => 'failed',
      );
      isOver = !failingStore.hasFailed;
      assert.equal(outcome, isOver ? 'made' : 'failed', `${before}, operation ${failing}`);

      for (const id of ['full', '']) {
        rmSync(path, { recursive: true });
        await operator(store).restore(job, { id, useLatest: false, signal });
        const now = state();
        assert.ok(now === current || (!isOver && now === stored), `${before}, operation ${failing}: ${now}`);
      }
      stored = state();
    }
  addCommit(path, 5);
  await create(store, true);
  const wanted = state();
  rmSync(path, { recursive: true });
  await operator(store).restore(job, { id: 'full', useLatest: false, signal });
  assert.equal(state(), wanted);
});

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
