import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';

const original = { storageName: 'default', relativePath: 'x.git' };
const vanityRepository = { storageName: 'group', relativePath: 'name.git' };
/** Milliseconds after which the server is killed: before, during and after the writes of a backup. */
const KILLS_MS = [2, 8, 20, 40, 80, 160];
const SHARE = 1 / 6;

function stateOf(path: string): string[] {
  gitOutput(path, ['fsck', '--full', '--no-dangling']);
  return [gitOutput(path, ['symbolic-ref', 'HEAD']), gitOutput(path, ['for-each-ref'])];
}

/** Adds a commit with a file that does not compress. */
function grow(path: string): void {
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], randomBytes(2_000_000));
  const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\tlarge\n`);
  gitOutput(path, [
    'update-ref',
    'refs/heads/main',
    gitOutput(path, ['commit-tree', '-p', 'main', '-m', 'x', tree]),
  ]);
}

/** Makes a call that the end of the server may cut off. @returns whether it succeeded. */
async function killedAt(server: GitalyProcess, work: Promise<unknown>, killMs: number): Promise<boolean> {
  const outcome = work.then(
    () => true,
    () => false,
  );
  await setTimeout(killMs);
  server.kill('SIGKILL');
  await server.exited;
  return await outcome;
}

test('a server that is killed during backups and restores leaves whole ones', async (context) => {
  const directory = makeScratchDirectory('killed-backups');
  const config = `[backup]\ngo_cloud_url = "file://${directory}/bucket"\n`;
  mkdirSync(join(directory, 'default'));
  const path = join(directory, 'default/x.git');
  initRepository(path, { commits: 2 });
  const states = new Map<string, string[]>();
  const manifests = join(directory, 'bucket/manifests/group/name.git');
  let [copies, backupId] = [0, ''];
  let server = await startGitalyProcess({ directory, config });
  context.after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  const copyOf = () => ({ storageName: 'default', relativePath: `copy-${copies++}.git` });
  let { repository: current } = await server.connect();
  /** Kills the server during a call, and starts the next one. @returns whether the call succeeded. */
  const killDuring = async (work: Promise<unknown>, killMs: number): Promise<boolean> => {
    const isDone = await killedAt(server, work, killMs);
    await server[Symbol.asyncDispose]();
    server = await startGitalyProcess({ directory, config });
    ({ repository: current } = await server.connect());
    return isDone;
  };

  for (const [index, killMs] of seededShare(KILLS_MS, SHARE).entries()) {
    grow(path);
    addCommit(path, 10 + index);
    backupId = `backup-${index}`;
    states.set(backupId, stateOf(path));
    const request = { repository: original, vanityRepository, backupId, incremental: true };
    const isDone = await killDuring(current.backupRepository(request), killMs);
    if (isDone) assert.ok(existsSync(join(manifests, `${backupId}.toml`)));
    const listed = existsSync(manifests) ? readdirSync(manifests) : [];
    for (const name of listed.filter((each) => /^backup-\d\.toml$/.test(each))) {
      const id = name.replace('.toml', '');
      const repository = copyOf();
      await current.restoreRepository({ repository, vanityRepository, backupId: id });
      assert.deepEqual(stateOf(join(directory, 'default', repository.relativePath)), states.get(id), id);
    }
    await current.backupRepository(request);
  }

  for (const killMs of seededShare(KILLS_MS, SHARE)) {
    const repository = copyOf();
    const target = join(directory, 'default', repository.relativePath);
    const request = { repository, vanityRepository, backupId };
    await killDuring(current.restoreRepository(request), killMs);
    if (existsSync(target)) assert.deepEqual(stateOf(target), states.get(backupId), `after ${killMs} ms`);
    await current.restoreRepository(request);
    assert.deepEqual(stateOf(target), states.get(backupId));
  }
});
