import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { assertSound, type Case, options, refsOf, suiteOf } from './case-suite.ts';
import type { FaultyServer, Target } from './faulty-server.ts';

const HOOKS = 'custom_hooks';

/** Gives a repository one hook. */
function plantHook(directory: string, name: string): void {
  mkdirSync(join(directory, HOOKS), { recursive: true });
  writeFileSync(join(directory, HOOKS, name), name, { mode: 0o755 });
}

function hooksIn(directory: string): string[] {
  return readdirSync(join(directory, HOOKS)).map(
    (name) => `${name}: ${readFileSync(join(directory, HOOKS, name), 'utf8')}`,
  );
}

/** Archives of hooks, by the number of the target. */
const archives = new Map<Target, Buffer>();

const setCustomHooks: Case = {
  name: 'SetCustomHooks',
  async prepare(_, target) {
    const { directory } = target;
    plantHook(directory, 'update');
    const archive = join(directory, 'hooks.tar');
    const { code } = await run('tar', ['-C', directory, '-cf', archive, HOOKS]);
    assert.equal(code, 0);
    archives.set(target, readFileSync(archive));
    rmSync(archive);
    rmSync(join(directory, HOOKS), { recursive: true });
    plantHook(directory, 'pre-receive');
  },
  async run({ connection }, target) {
    const archive = archives.get(target) ?? Buffer.alloc(0);
    const half = archive.length / 2;
    const messages = [
      { repository: target.wire, data: archive.subarray(0, half) },
      { data: archive.subarray(half) },
    ];
    await connection.repository.setCustomHooks(messages, options);
  },
  async check({ directory }, isDone) {
    const hooks = hooksIn(directory).join();
    assert.ok(['update: update', ...(isDone ? [] : ['pre-receive: pre-receive'])].includes(hooks), hooks);
  },
};

const vanityRepository = { storageName: 'default', relativePath: 'template.git' };
/** Servers that have a backup of the template. */
const backedUp = new WeakSet<FaultyServer>();

async function backUpOnce(server: FaultyServer, { wire }: Target): Promise<void> {
  if (backedUp.has(server)) return;
  const request = { repository: wire, vanityRepository, backupId: 'one' };
  await server.connection.repository.backupRepository(request, options);
  backedUp.add(server);
}

async function restore({ connection }: FaultyServer, target: Target): Promise<void> {
  const repository = target.copyIn('default').wire;
  const request = { repository, vanityRepository, backupId: 'one' };
  await connection.repository.restoreRepository(request, options);
}

async function assertRestored(target: Target, storage: string): Promise<void> {
  const { directory } = target.copyIn('default');
  assert.equal(await refsOf(directory), await refsOf(target.directory));
  assert.equal(
    await runGit(['-C', directory, 'symbolic-ref', 'HEAD']),
    await runGit(['-C', target.directory, 'symbolic-ref', 'HEAD']),
  );
  await assertSound(storage, directory);
}

const restoreNew: Case = {
  name: 'RestoreRepository of a repository that does not exist',
  prepare: backUpOnce,
  run: restore,
  async check(target, isDone, storage) {
    const { directory } = target.copyIn('default');
    if (isDone) assert.ok(existsSync(directory), 'there is no repository');
    // It appears when it is complete.
    if (existsSync(directory)) await assertRestored(target, storage);
  },
};

const restoreOther: Case = {
  name: 'RestoreRepository of a repository with other references',
  async prepare(server, target) {
    await backUpOnce(server, target);
    const { directory } = target.copyIn('default');
    cpSync(target.directory, directory, { recursive: true });
    for (const change of [
      ['ours', 'theirs'],
      ['other', 'topic'],
    ] as const)
      await runGit(['-C', directory, 'branch', '-f', ...change]);
    await runGit(['-C', directory, 'branch', '-D', 'theirs']);
    await runGit(['-C', directory, 'symbolic-ref', 'HEAD', 'refs/heads/topic']);
  },
  run: restore,
  async check(target, isDone, storage) {
    if (isDone) await assertRestored(target, storage);
    else await assertSound(storage, target.copyIn('default').directory);
  },
};

suiteOf('hooks and backups, whatever fails', [setCustomHooks, restoreNew, restoreOther]);
