import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGitHttpServer } from '#testkit/git-http-server';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const target = { storageName: 'default', relativePath: 'group/target.git' };

function refsOf(path: string, pattern = 'refs/'): string {
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)', pattern]);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const mirror of [false, true]) {
    test(`a ${objectFormat} repository is ${mirror ? 'mirrored' : 'cloned'} over HTTP`, async () => {
      await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
      await using web = await startGitHttpServer(gitaly.storagePath('remote'));
      const path = join(gitaly.storagePath('remote'), 'x.git');
      initRepository(path, { commits: 2, objectFormat });
      gitOutput(path, ['tag', 'v1', 'main~1']);
      gitOutput(path, ['update-ref', 'refs/merge-requests/1/head', 'main']);

      await gitaly.connection.repository.createRepositoryFromURL({
        repository: target,
        url: `${web.url}/r/x.git`,
        mirror,
      });

      const created = join(gitaly.storagePath(), target.relativePath);
      const expected = refsOf(path)
        .split('\n')
        .filter((line) => mirror || !line.startsWith('refs/merge-requests/'));
      assert.deepEqual(refsOf(created).split('\n'), expected);
      assert.equal(gitOutput(created, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
      assert.doesNotMatch(readFileSync(join(created, 'config'), 'utf8'), /remote|http/);
      gitOutput(created, ['fsck', '--strict']);
    });
  }
}

test('a clone of a member of a pool needs no pool', async () => {
  await using gitaly = await startGitaly();
  const [pool, member] = ['pool.git', 'member.git'].map((name) => join(gitaly.storagePath(), name));
  assert.ok(pool !== undefined && member !== undefined);
  initRepository(pool, { commits: 2 });
  gitOutput(gitaly.storagePath(), ['clone', '-q', '--bare', '--shared', pool, member]);

  await gitaly.connection.repository.createRepositoryFromURL({ repository: target, url: member });

  const created = join(gitaly.storagePath(), target.relativePath);
  assert.equal(existsSync(join(created, 'objects/info/alternates')), false);
  gitOutput(created, ['fsck', '--connectivity-only']);
});

test('bundles that the server advertises are not read', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
  await using web = await startGitHttpServer(gitaly.storagePath('remote'));
  const path = join(gitaly.storagePath('remote'), 'x.git');
  initRepository(path, { commits: 1 });
  for (const [key, value] of [
    ['uploadpack.advertiseBundleURIs', 'true'],
    ['bundle.version', '1'],
    ['bundle.mode', 'all'],
    ['bundle.a.uri', `${web.url}/files/bundle`],
  ] as const)
    gitOutput(path, ['config', key, value]);

  await gitaly.connection.repository.createRepositoryFromURL({
    repository: target,
    url: `${web.url}/r/x.git`,
  });

  assert.deepEqual(
    web.calls.filter(({ path: called }) => called.startsWith('/files')),
    [],
  );
});

test('credentials appear in no log and no configuration file', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'remote'], logLevel: 'debug' });
  await using web = await startGitHttpServer(gitaly.storagePath('remote'));
  initRepository(join(gitaly.storagePath('remote'), 'x.git'), { commits: 1 });
  const url = web.url.replace('http://', 'http://user:pass@');
  const { repository: calls } = gitaly.connection;

  await calls.createRepositoryFromURL({ repository: target, url: `${url}/auth/x.git` });
  const failing = calls.createRepositoryFromURL({
    repository: { ...target, relativePath: 'other.git' },
    url: `${url.replace('pass', 'topsecret')}/auth/x.git`,
  });
  await assert.rejects(failing, { code: 'INTERNAL' });

  const log = JSON.stringify(gitaly.log);
  for (const secret of ['user:pass', 'topsecret', Buffer.from('user:pass').toString('base64')])
    assert.equal(log.includes(secret), false, secret);
  assert.match(log, /CreateRepositoryFromURL/);
});

test('a clone that is aborted is never visible and leaves nothing', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'remote'] });
  await using web = await startGitHttpServer(gitaly.storagePath('remote'));
  let isAsked = false;
  web.reset({}, { '/slow/info/refs?service=git-upload-pack': () => (isAsked = true) });
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  const abort = new AbortController();

  const cloning = gitaly.connection.repository.createRepositoryFromURL(
    { repository: target, url: `${web.url}/slow` },
    { signal: abort.signal },
  );
  await until(() => isAsked, 'the request of git');
  abort.abort();

  await assert.rejects(cloning, { code: 'CANCELLED' });
  await until(() => readdirSync(temp).length === 0);
  assert.equal(existsSync(join(gitaly.storagePath(), 'group')), false);
});
