import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

test('a remote repository is found when it has a commit', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'remote.git');
  await using web = await startGitHttpServer(gitaly.storagePath());
  const exists = async (name: string) => {
    const remote = `${web.url}/r/${name}`;
    return (await gitaly.connection.remote.findRemoteRepository({ remote, storageName: 'default' })).exists;
  };

  assert.equal(await exists('remote.git'), false);
  addCommit(path);
  assert.equal(await exists('remote.git'), true);
  assert.equal(await exists('none.git'), false);
});

test('the default branch of a remote is that of its HEAD', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git');
  const path = initServed(gitaly, 'remote.git', { commits: 1 });
  gitOutput(path, ['branch', 'feature/odd-name']);
  gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/feature/odd-name']);
  await using web = await startGitHttpServer(gitaly.storagePath());

  const call = { repository, remoteUrl: `${web.url}/r/remote.git` };
  assert.equal((await gitaly.connection.remote.findRemoteRootRef(call)).ref, 'feature/odd-name');
});

test('a mirror follows, batch by batch, and keeps what only it has', async () => {
  await using gitaly = await startGitaly();
  const here = initServed(gitaly, 'x.git', { commits: 3 });
  for (let index = 0; index < 25; index++) gitOutput(here, ['branch', `b${index}`, 'main~1']);
  gitOutput(here, ['update-ref', 'refs/keep-around/x', 'main']);
  const there = initServed(gitaly, 'mirror.git', { commits: 1 });
  const foreign = gitOutput(there, ['commit-tree', '-m', 'foreign', 'main^{tree}']);
  gitOutput(there, ['update-ref', 'refs/heads/foreign', foreign]);
  await using web = await startGitHttpServer(gitaly.storagePath());

  const remote = { url: `${web.url}/r/mirror.git` };
  const { divergentRefs } = await gitaly.connection.remote.updateRemoteMirror([{ repository, remote }]);

  assert.deepEqual(divergentRefs, []);
  const branches = (path: string): string[] =>
    gitOutput(path, ['for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads']).split('\n');
  assert.deepEqual(branches(there), [...branches(here), `${foreign} refs/heads/foreign`].sort(byName));
  assert.equal(gitOutput(there, ['for-each-ref', 'refs/keep-around']), '');
});

function byName(a: string, b: string): number {
  return (a.split(' ')[1] ?? '') < (b.split(' ')[1] ?? '') ? -1 : 1;
}

test('programs and local helpers are no remotes', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git');
  const evil = join(gitaly.directory, 'evil');

  for (const url of [`ext::sh -c "touch ${evil}"`, 'fd::0', `--upload-pack=touch ${evil}`]) {
    const found = gitaly.connection.remote.findRemoteRepository({ remote: url, storageName: 'default' });
    const isRefused = await found.then(
      ({ exists }) => !exists,
      () => true,
    );
    assert.ok(isRefused, url);
    await assert.rejects(gitaly.connection.remote.findRemoteRootRef({ repository, remoteUrl: url }), {
      code: 'INTERNAL',
    });
  }
  assert.throws(() => gitOutput('/', ['-C', evil, 'status']));
});
