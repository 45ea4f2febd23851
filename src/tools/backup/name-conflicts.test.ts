import assert from 'node:assert/strict';
import { rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { backUpAll, restoreAll, verifyBackups } from './stored-backups.ts';

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
