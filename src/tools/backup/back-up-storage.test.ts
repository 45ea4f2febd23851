import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync, truncateSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findManifest } from '#domain/backup/manifests';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { backUpStorage } from './back-up-storage.ts';
import { backUpAll, restoreAll, verifyBackups } from './stored-backups.ts';

const { signal } = new AbortController();

async function start() {
  const gitaly = await startGitaly();
  const { connection } = gitaly;
  const url = join(gitaly.directory, 'backups');
  const path = join(gitaly.storagePath(), 'a.git');
  let output = '';
  const write = (text: string): void => {
    output += text;
  };
  const context = { stdout: { write }, stderr: { write }, signal: new AbortController().signal };
  const usual = { connection, storage: 'default', jobs: 1 };
  return {
    ...{ gitaly, path, url },
    /** Writes a branch with a new commit. */
    commit: (branch: string): void => {
      const oid = gitOutput(path, ['commit-tree', '-p', 'main', '-m', branch, 'main^{tree}']).trim();
      gitOutput(path, ['update-ref', `refs/heads/${branch}`, oid]);
    },
    remove: (branch: string) => gitOutput(path, ['update-ref', '-d', `refs/heads/${branch}`]),
    references: () => gitOutput(path, ['for-each-ref']),
    output: () => output,
    backUp: (id: string) => backUpAll({ ...usual, to: url, id, incremental: true, verify: true }, context),
    verify: () => verifyBackups(url, { id: '', repository: '' }, context),
    restore: () => restoreAll(url, { ...usual, id: '', repository: '', replace: true }, context),
  };
}

// A user saw: a repository that was renamed during a complete backup was not in it.
test('a repository that is renamed or made during a backup is in it', async () => {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  for (const name of ['a.git', 'b.git']) initRepository(path(name), { commits: 1 });
  const store = new MemoryObjectStore();
  const actions = new Map([
    ['a.git', () => initRepository(path('0.git'), { commits: 1 })],
    ['b.git', () => renameSync(path('b.git'), path('c.git'))],
    ['c.git', () => renameSync(path('c.git'), path('d.git'))],
  ]);
  const found: number[] = [];
  const ended: string[] = [];

  await backUpStorage({
    ...{ connection: gitaly.connection, storageName: 'default', store, id: 'one', incremental: false },
    ...{ parallel: 1, signal },
    listener: {
      onFound: (repositories) => found.push(repositories),
      onStart: ({ relativePath }) => actions.get(relativePath)?.(),
      onEnd: ({ relativePath }, { kind }) => ended.push(`${relativePath} ${kind}`),
    },
  });

  assert.deepEqual(found, [2, 4, 5]);
  assert.deepEqual(
    ended.sort(),
    ['0', 'a', 'b', 'c', 'd'].map((name) => `${name}.git done`),
  );
  for (const relativePath of ['0.git', 'a.git', 'd.git']) {
    const name = { storageName: 'default', relativePath };
    assert.equal((await findManifest(store, name, 'one', { signal })).nonExistent, false, relativePath);
  }
});

type Renames = readonly (readonly [from: string, to: string])[];

/**
 * Backs up some repositories, which are renamed while the last one is stored. Checks that the
 * backup has each at its last path.
 *
 * @param changed path whose repository changes after that.
 */
async function backUpWhile(names: readonly string[], renames: Renames, changed?: string): Promise<void> {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  const tips = new Map<string, string>();
  for (const [count, name] of names.entries()) {
    initRepository(path(name), { commits: count + 1 });
    utimesSync(path(name), count, count);
    tips.set(name, gitOutput(path(name), ['rev-parse', 'main']));
  }
  const store = new MemoryObjectStore();
  const last = names.at(-1);
  let isMoved = false;
  const move = (): void => {
    isMoved = true;
    for (const [from, to] of renames) {
      renameSync(path(from), path(to));
      tips.set(to, tips.get(from) ?? '');
      tips.delete(from);
    }
    if (changed !== undefined) utimesSync(path(changed), names.length, names.length);
  };
  const found: number[] = [];

  await backUpStorage({
    ...{ connection: gitaly.connection, storageName: 'default', store, id: 'one', incremental: false },
    ...{ parallel: 1, signal },
    listener: {
      onFound: (repositories) => found.push(repositories),
      onStart: ({ relativePath }) => void (relativePath === last && !isMoved && move()),
      onEnd: () => {},
    },
  });

  assert.deepEqual(found, [names.length, names.length + 2]);
  for (const [relativePath, tip] of tips) {
    const { steps } = await findManifest(store, { storageName: 'default', relativePath }, 'one', { signal });
    const lines = Buffer.concat(await Array.fromAsync(store.get(steps.at(-1)?.refPath ?? '', { signal })));
    assert.ok(lines.includes(`${tip} refs/heads/main`), `${relativePath}: ${lines}`);
  }
}

// A user saw: after a was renamed to b, and c to a, the backup had no c.
test('repositories that are renamed in a chain during a backup are each in it', async () => {
  await backUpWhile(
    ['a.git', 'c.git'],
    [
      ['a.git', 'b.git'],
      ['c.git', 'a.git'],
    ],
  );
});

// Symptom: both were in the backup at their former paths.
for (const changed of [undefined, 'a.git'])
  test(`of repositories that are swapped, and ${changed ?? 'none'} changed, each is backed up`, async () => {
    await backUpWhile(
      ['a.git', 'b.git', 'c.git'],
      [
        ['a.git', 'x.git'],
        ['b.git', 'a.git'],
        ['x.git', 'b.git'],
      ],
      changed,
    );
  });

for (const head of ['a branch', 'detached'])
  test(`branches that become folders between increments are restored; HEAD is ${head}`, async () => {
    const { gitaly, path, ...site } = await start();
    await using _gitaly = gitaly;
    const create = (): void => {
      initRepository(path, { commits: 1 });
      // The bundles of such a backup cannot be joined.
      if (head === 'detached') gitOutput(path, ['update-ref', '--no-deref', 'HEAD', 'main']);
    };
    create();
    for (const branch of ['x', 'y/z']) site.commit(branch);
    assert.equal(await site.backUp('1'), 0);
    for (const branch of ['x', 'y/z']) site.remove(branch);
    for (const branch of ['x/1', 'x/2', 'y']) site.commit(branch);
    assert.equal(await site.backUp('2'), 0, site.output());
    site.remove('y');
    site.commit('y/z');
    assert.equal(await site.backUp('3'), 0, site.output());
    const references = site.references();

    // A new repository, then one that has the objects, then one that has not.
    rmSync(path, { recursive: true });
    assert.equal(await site.restore(), 0, site.output());
    assert.equal(site.references(), references);
    for (const branch of ['x/1', 'x/2', 'y/z']) site.remove(branch);
    for (const branch of ['x', 'y']) site.commit(branch);
    assert.equal(await site.restore(), 0, site.output());
    assert.equal(site.references(), references);
    rmSync(path, { recursive: true });
    create();
    for (const branch of ['x', 'y']) site.commit(branch);
    assert.equal(await site.restore(), 0, site.output());
    assert.equal(site.references(), references);
    assert.equal(gitOutput(path, ['fsck', '--connectivity-only', '--no-dangling']), '');
  });

test('a restore that fails leaves branches whose names conflict with the backup', async () => {
  const { gitaly, path, url, ...site } = await start();
  await using _gitaly = gitaly;
  initRepository(path, { commits: 1 });
  site.commit('x/1');
  assert.equal(await site.backUp('1'), 0);
  rmSync(path, { recursive: true });
  initRepository(path, { commits: 1 });
  site.commit('x');
  const references = site.references();
  const bundle = join(url, 'default/a.git/1/001.bundle');
  truncateSync(bundle, statSync(bundle).size - 30);

  assert.equal(await site.restore(), 1);

  assert.equal(site.references(), references);
});
