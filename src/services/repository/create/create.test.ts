import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const source = { storageName: 'default', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'group/target.git' };

function pathOf(gitaly: TestGitaly, { relativePath }: { relativePath: string }): string {
  return join(gitaly.storagePath(), relativePath);
}

function refsOf(path: string, pattern = 'refs/'): string {
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)', pattern]);
}

function serversOf(...servers: readonly { address: string; storage?: string }[]) {
  const entries = servers.map(({ address, storage = 'default' }) => [storage, { address, token: '' }]);
  const json = JSON.stringify(Object.fromEntries(entries));
  return { 'gitaly-servers': Buffer.from(json).toString('base64') };
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a fork of a ${objectFormat} repository has its branches and tags, and nothing else`, async () => {
    await using gitaly = await startGitaly();
    const path = pathOf(gitaly, source);
    initRepository(path, { commits: 3, objectFormat });
    gitOutput(path, ['tag', 'v1', 'main~1']);
    gitOutput(path, ['update-ref', 'refs/keep-around/kept', 'main~2']);

    await gitaly.connection.repository.createFork(
      { repository: target, sourceRepository: source },
      { metadata: serversOf(gitaly) },
    );

    const fork = pathOf(gitaly, target);
    for (const pattern of ['refs/heads', 'refs/tags'])
      assert.equal(refsOf(fork, pattern), refsOf(path, pattern));
    assert.equal(refsOf(fork, 'refs/keep-around'), '');
    assert.equal(gitOutput(fork, ['rev-parse', '--show-object-format']), objectFormat);
    assert.doesNotMatch(gitOutput(fork, ['config', '--list', '--local']), /^remote\./m);
    gitOutput(fork, ['fsck', '--strict']);
  });
}

test('a fork of a repository on another server', async () => {
  await using gitaly = await startGitaly();
  await using other = await startGitaly({ storages: ['far'], token: 'secret' });
  initRepository(join(other.storagePath('far'), 'source.git'), { commits: 2 });
  const metadata = {
    'gitaly-servers': Buffer.from(
      JSON.stringify({ far: { address: other.address, token: 'secret' } }),
    ).toString('base64'),
  };

  await gitaly.connection.repository.createFork(
    { repository: target, sourceRepository: { ...source, storageName: 'far' } },
    { metadata },
  );

  assert.equal(refsOf(pathOf(gitaly, target)), refsOf(join(other.storagePath('far'), 'source.git')));
});

test('of many forks to one path one wins', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly, source), { commits: 2 });

  const results = await Promise.allSettled(
    Array.from({ length: 4 }, () =>
      gitaly.connection.repository.createFork(
        { repository: target, sourceRepository: source },
        { metadata: serversOf(gitaly) },
      ),
    ),
  );

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(refsOf(pathOf(gitaly, target)), refsOf(pathOf(gitaly, source)));
});

test('a fork that is aborted is never visible and leaves nothing', async () => {
  await using gitaly = await startGitaly();
  const path = pathOf(gitaly, source);
  initRepository(path, { commits: 1 });
  // A source that never answers holds the fork in the middle.
  const silent = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const address = silent.address();
  assert.ok(typeof address === 'object' && address !== null);
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  const abort = new AbortController();
  const sockets: { destroy(): void }[] = [];
  const isReached = new Promise<void>((resolve) => {
    silent.on('connection', (socket) => {
      sockets.push(socket);
      resolve();
    });
  });

  const forking = gitaly.connection.repository.createFork(
    { repository: target, sourceRepository: source },
    { metadata: serversOf({ address: `tcp://127.0.0.1:${address.port}` }), signal: abort.signal },
  );
  await isReached;
  abort.abort();

  await assert.rejects(forking, { code: 'CANCELLED' });
  await until(() => !existsSync(temp) || readdirSync(temp).length === 0);
  assert.equal(existsSync(pathOf(gitaly, target)), false);
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('a renamed repository is at its new path, and only there', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly, source), { commits: 2 });
  const refs = refsOf(pathOf(gitaly, source));
  const { repository: calls, commit } = gitaly.connection;
  const find = async (repository: typeof source) =>
    (await commit.findCommit({ repository, revision: Buffer.from('main') })).commit?.id;
  const oid = await find(source);

  await calls.renameRepository({ repository: source, relativePath: 'a/b/target.git' });

  assert.equal(refsOf(join(gitaly.storagePath(), 'a/b/target.git')), refs);
  assert.equal((await calls.repositoryExists({ repository: source })).exists, false);
  assert.equal(await find({ ...source, relativePath: 'a/b/target.git' }), oid);
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), 'a/b')), ['target.git']);
});

test('a repository is not renamed over anything, out of the storage, or while it is locked', async () => {
  await using gitaly = await startGitaly();
  const path = pathOf(gitaly, source);
  initRepository(path, { commits: 1 });
  mkdirSync(pathOf(gitaly, target), { recursive: true });
  const rename = (relativePath: string) =>
    gitaly.connection.repository.renameRepository({ repository: source, relativePath });

  await assert.rejects(rename(target.relativePath), {
    code: 'ALREADY_EXISTS',
    message: 'target repo exists already',
  });
  await assert.rejects(rename(''), {
    code: 'INVALID_ARGUMENT',
    message: 'destination relative path is empty',
  });
  await assert.rejects(rename('../x.git'), { code: 'INVALID_ARGUMENT' });
  writeFileSync(`${path}.lock`, '');
  await assert.rejects(rename('free.git'), { code: 'FAILED_PRECONDITION' });
  rmSync(`${path}.lock`);
  assert.equal(refsOf(path), refsOf(path));
  await rename('free.git');
});

test('RemoveAll empties a storage, and answers nothing from before', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'other'] });
  for (const name of ['a.git', 'group/b.git']) initServed(gitaly, name, { commits: 1 });
  initRepository(join(gitaly.storagePath('other'), 'kept.git'), { commits: 1 });
  const { repository: calls, commit } = gitaly.connection;
  const repository = { storageName: 'default', relativePath: 'group/b.git' };
  const find = async () => (await commit.findCommit({ repository, revision: Buffer.from('main') })).commit;
  assert.notEqual(await find(), undefined);

  await calls.removeAll({ storageName: 'default' });

  assert.deepEqual(readdirSync(gitaly.storagePath()), []);
  assert.equal(existsSync(join(gitaly.storagePath('other'), 'kept.git/HEAD')), true);
  await calls.createRepository({ repository });
  assert.equal(await find(), undefined);
  await assert.rejects(calls.removeAll({ storageName: 'absent' }), {
    code: 'INVALID_ARGUMENT',
    message: 'remove all: storage name not found',
  });
});

test('new repositories and forks have the references of git.default_ref_format', async () => {
  const start = () => startGitaly({ config: { git: { default_ref_format: 'reftable' } } });
  if (needsGit('reftable')) {
    await assert.rejects(start(), /git\.default_ref_format: reftable needs git 2\.45 or newer/);
    return;
  }
  await using gitaly = await start();
  initRepository(pathOf(gitaly, source), { commits: 2 });
  const created = { storageName: 'default', relativePath: 'new.git' };

  await gitaly.connection.repository.createRepository({ repository: created });
  await gitaly.connection.repository.createFork(
    { repository: target, sourceRepository: source },
    { metadata: serversOf(gitaly) },
  );

  for (const repository of [created, target])
    assert.equal(gitOutput(pathOf(gitaly, repository), ['rev-parse', '--show-ref-format']), 'reftable');
  assert.equal(refsOf(pathOf(gitaly, target)), refsOf(pathOf(gitaly, source)));
  const revision = Buffer.from('refs/heads/main');
  const { value } = await gitaly.connection.ref.refExists({ repository: target, ref: revision });
  assert.equal(value, true);
});

test('the flag new_repo_reftable_backend creates repositories with reftables', async () => {
  await using gitaly = await startGitaly();
  const flagged = { storageName: 'default', relativePath: 'flagged.git' };
  const plain = { storageName: 'default', relativePath: 'plain.git' };
  const flag = (value: string) => ({ metadata: { 'gitaly-feature-new-repo-reftable-backend': value } });

  await gitaly.connection.repository.createRepository({ repository: flagged }, flag('true'));
  await gitaly.connection.repository.createRepository({ repository: plain }, flag('false'));

  // A git without reftables ignores the format, and stores references in files.
  const hasReftables = needsGit('reftable') === false;
  assert.equal(existsSync(join(pathOf(gitaly, flagged), 'reftable/tables.list')), hasReftables);
  assert.equal(existsSync(join(pathOf(gitaly, plain), 'reftable')), false);
});

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
