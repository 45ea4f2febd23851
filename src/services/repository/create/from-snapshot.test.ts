import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository, referenceBackends } from '#testkit/repositories/init-repository';
import { run } from '#testkit/run-program';
import { type GitHttpServer, startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const source = { storageName: 'default', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'group/target.git' };

function pathOf(gitaly: TestGitaly, { relativePath }: { relativePath: string }): string {
  return join(gitaly.storagePath(), relativePath);
}

function refsOf(path: string): string {
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
}

async function snapshotOf(gitaly: TestGitaly): Promise<Buffer> {
  const messages = await Array.fromAsync(gitaly.connection.repository.getSnapshot({ repository: source }));
  return Buffer.concat(messages.map(({ data }) => data));
}

function createFrom(gitaly: TestGitaly, web: GitHttpServer, path = '/files/x.tar', signal?: AbortSignal) {
  return gitaly.connection.repository.createRepositoryFromSnapshot(
    { repository: target, httpUrl: `${web.url}${path}` },
    { ...(signal && { signal }) },
  );
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a ${objectFormat} repository becomes a snapshot and a repository again`, async () => {
    await using gitaly = await startGitaly();
    await using web = await startGitHttpServer(gitaly.storagePath());
    const path = pathOf(gitaly, source);
    initRepository(path, { commits: 3, objectFormat });
    gitOutput(path, ['tag', 'v1', 'main~1']);
    gitOutput(path, ['repack', '-adq']);
    gitOutput(path, ['pack-refs', '--all']);
    gitOutput(path, ['update-ref', 'refs/keep-around/kept', 'main~2']);
    writeFileSync(join(path, 'large'), Buffer.alloc(400_000, 'x'));
    gitOutput(path, ['hash-object', '-w', 'large']);

    const snapshot = await snapshotOf(gitaly);
    web.reset({ 'x.tar': snapshot });
    await createFrom(gitaly, web);

    const created = pathOf(gitaly, target);
    assert.equal(refsOf(created), refsOf(path));
    assert.equal(gitOutput(created, ['rev-parse', '--show-object-format']), objectFormat);
    assert.equal(
      gitOutput(created, ['cat-file', '--batch-all-objects', '--batch-check']),
      gitOutput(path, ['cat-file', '--batch-all-objects', '--batch-check']),
    );
    gitOutput(created, ['fsck', '--strict']);
  });
}

// Born failing: `refs/heads` is a file in one format and a directory in the other.
for (const format of referenceBackends())
  for (const ofNew of referenceBackends())
    test(`a snapshot keeps its format of references: ${format}, where new ones are ${ofNew}`, async () => {
      await using gitaly = await startGitaly({ config: { git: { default_ref_format: ofNew } } });
      await using web = await startGitHttpServer(gitaly.storagePath());
      const path = pathOf(gitaly, source);
      initRepository(path, { commits: 2, referenceBackend: format });
      gitOutput(path, ['pack-refs', '--all']);
      gitOutput(path, ['branch', 'later']);

      web.reset({ 'x.tar': await snapshotOf(gitaly) });
      await createFrom(gitaly, web);

      const created = pathOf(gitaly, target);
      assert.equal(gitOutput(created, ['config', '--default', 'files', 'extensions.refstorage']), format);
      assert.equal(refsOf(created), refsOf(path));
      gitOutput(created, ['fsck', '--strict']);
    });

test('a snapshot is what the tar program reads, and holds no secrets of the configuration', async () => {
  await using gitaly = await startGitaly();
  const path = pathOf(gitaly, source);
  initRepository(path, { commits: 2 });
  gitOutput(path, ['config', 'remote.x.url', 'http://user:secret@host/']);
  const directory = join(gitaly.storagePath(), 'unpacked');
  mkdirSync(directory);

  writeFileSync(join(directory, 'x.tar'), await snapshotOf(gitaly));
  const { code, stderr } = await run('tar', ['-C', directory, '-xf', join(directory, 'x.tar')]);

  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(readFileSync(join(directory, 'config'), 'utf8'), '[core]\n\trepositoryformatversion = 0\n');
  assert.equal(
    gitOutput(directory, ['--git-dir=.', 'rev-parse', 'main']),
    gitOutput(path, ['rev-parse', 'main']),
  );
});

// Symptom: a configuration that was too large for its filter was sent as it is, with its secrets.
test('a configuration that is too large for its filter is not sent', async () => {
  await using gitaly = await startGitaly();
  const path = pathOf(gitaly, source);
  initRepository(path);
  appendFileSync(
    join(path, 'config'),
    `[remote "x"]\n\turl = http://u:secret@host/\n${'#\n'.repeat(1 << 23)}`,
  );

  await assert.rejects(snapshotOf(gitaly), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'config has more than 16777216 bytes',
  });
});

test('hooks, alternates, links and settings of a hostile snapshot are not taken', async () => {
  await using gitaly = await startGitaly();
  await using web = await startGitHttpServer(gitaly.storagePath());
  const path = pathOf(gitaly, source);
  initRepository(path, { commits: 2 });
  const refs = refsOf(path);
  writeFileSync(
    join(path, 'config'),
    '[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch evil\n\thooksPath = /\n' +
      '[include]\n\tpath = /etc/passwd\n',
  );
  for (const file of ['hooks/pre-receive', 'custom_hooks/update', 'objects/info/alternates', 'commondir']) {
    mkdirSync(join(path, file, '..'), { recursive: true });
    writeFileSync(join(path, file), '/evil\n');
  }
  await run('tar', ['-C', path, '-cf', join(gitaly.directory, 'x.tar'), '.']);
  web.reset({ 'x.tar': readFileSync(join(gitaly.directory, 'x.tar')) });

  await createFrom(gitaly, web);

  const created = pathOf(gitaly, target);
  assert.deepEqual(readdirSync(created).sort(), [
    '.gitaly-full-repack-timestamp',
    'HEAD',
    'config',
    'objects',
    'refs',
  ]);
  assert.equal(readFileSync(join(created, 'config'), 'utf8'), '[core]\n\trepositoryformatversion = 0\n');
  assert.equal(existsSync(join(created, 'objects/info/alternates')), false);
  assert.equal(refsOf(created), refs);
});

test('a link in a snapshot refuses it', async () => {
  await using gitaly = await startGitaly();
  await using web = await startGitHttpServer(gitaly.storagePath());
  const directory = join(gitaly.directory, 'evil');
  mkdirSync(directory);
  await run('ln', ['-s', gitaly.directory, join(directory, 'refs')]);
  await run('tar', ['-C', directory, '-cf', join(gitaly.directory, 'x.tar'), '.']);
  web.reset({ 'x.tar': readFileSync(join(gitaly.directory, 'x.tar')) });

  await assert.rejects(createFrom(gitaly, web), {
    code: 'INTERNAL',
    message: 'creating repository: extracting snapshot: exit status 2',
  });

  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
  assert.equal(existsSync(pathOf(gitaly, target)), false);
});

const REFUSED = 'creating repository: extracting snapshot: exit status 2';

for (const [order, first, second, reason] of [
  [
    'a directory and then a file',
    'refs/heads/main/x',
    'refs/heads/main',
    'a directory of the archive is in place of a file',
  ],
  [
    'a file and then a directory',
    'refs/heads/main',
    'refs/heads/main/x',
    'a file of the archive is in place of a directory',
  ],
] as const)
  test(`a snapshot with ${order} of one name is refused with the name`, async () => {
    await using gitaly = await startGitaly();
    await using web = await startGitHttpServer(gitaly.storagePath());
    const archive = join(gitaly.directory, 'x.tar');
    for (const [index, file] of [first, second].entries()) {
      const directory = join(gitaly.directory, `part-${index}`);
      mkdirSync(join(directory, file, '..'), { recursive: true });
      writeFileSync(join(directory, file), `${'0'.repeat(40)}\n`);
      await run('tar', ['-C', directory, index === 0 ? '-cf' : '-rf', archive, file]);
    }
    web.reset({ 'x.tar': readFileSync(archive) });

    await assert.rejects(createFrom(gitaly, web), {
      code: 'INTERNAL',
      message: `${REFUSED}: extracting file ${second}: ${reason}`,
    });

    assert.equal(existsSync(pathOf(gitaly, target)), false);
  });

// Published with OK once: nothing but a vote had git read what had come.
for (const [name, file, content, stderr] of [
  ['a HEAD outside of refs', 'HEAD', 'ref: /etc/passwd\n', /not a git repository/],
  ['a HEAD of junk', 'HEAD', 'junk\n', /not a git repository/],
  ['broken packed-refs', 'packed-refs', '# pack-refs with: sorted\njunk\n', /unexpected line/],
  ['packed-refs that are cut off', 'packed-refs', '012345', /unexpected line|unterminated line/],
  [
    'an unknown format',
    'config',
    '[core]\n\trepositoryformatversion = 7\n',
    /repo version|not a git repository/,
  ],
] as const) {
  test(`a snapshot with ${name} creates nothing`, async () => {
    await using gitaly = await startGitaly();
    await using web = await startGitHttpServer(gitaly.storagePath());
    const path = pathOf(gitaly, source);
    initRepository(path, { commits: 2 });
    writeFileSync(join(path, file), content);
    await run('tar', ['-C', path, '-cf', join(gitaly.directory, 'x.tar'), '.']);
    web.reset({ 'x.tar': readFileSync(join(gitaly.directory, 'x.tar')) });

    await assert.rejects(createFrom(gitaly, web), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'INTERNAL');
      assert.match(error.message, /^creating repository: vote on (references|git config): .*exit status 128/);
      assert.match(error.message, stderr);
      return true;
    });

    assert.equal(existsSync(pathOf(gitaly, target)), false);
    assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
  });
}

test('a snapshot that ends too early creates nothing', async () => {
  await using gitaly = await startGitaly();
  await using web = await startGitHttpServer(gitaly.storagePath());
  initRepository(pathOf(gitaly, source), { commits: 2 });
  const snapshot = await snapshotOf(gitaly);
  web.reset(
    { 'x.tar': snapshot.subarray(0, 1500) },
    {
      '/broken': (_request, response) => {
        response.writeHead(200, { 'content-length': snapshot.length });
        response.write(snapshot.subarray(0, 2048), () => response.destroy());
      },
    },
  );

  await assert.rejects(createFrom(gitaly, web), {
    message: 'creating repository: extracting snapshot: exit status 2',
  });
  await assert.rejects(createFrom(gitaly, web, '/broken'), { code: 'INTERNAL' });

  assert.equal(existsSync(pathOf(gitaly, target)), false);
});

for (const bytes of [0, 1024])
  test(`a snapshot of ${bytes} zeros, which has no files, creates nothing`, async () => {
    await using gitaly = await startGitaly();
    await using web = await startGitHttpServer(gitaly.storagePath());
    web.reset({ 'x.tar': Buffer.alloc(bytes) });

    await assert.rejects(createFrom(gitaly, web), {
      code: 'INTERNAL',
      message: 'creating repository: extracting snapshot: exit status 2',
    });

    assert.equal(existsSync(pathOf(gitaly, target)), false);
  });

test('a snapshot that is aborted is never visible and leaves nothing', async () => {
  await using gitaly = await startGitaly();
  await using web = await startGitHttpServer(gitaly.storagePath());
  initRepository(pathOf(gitaly, source), { commits: 2 });
  const snapshot = await snapshotOf(gitaly);
  let isClosed = false;
  web.reset(
    {},
    {
      '/slow': (_request, response) => {
        response.writeHead(200, { 'content-length': snapshot.length });
        response.write(snapshot.subarray(0, 2048));
        response.on('close', () => (isClosed = true));
      },
    },
  );
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  const abort = new AbortController();

  const creating = createFrom(gitaly, web, '/slow', abort.signal);
  await until(() => existsSync(temp) && readdirSync(temp).length > 0);
  await until(() => web.calls.length > 0);
  abort.abort();

  await assert.rejects(creating, { code: 'CANCELLED' });
  await until(() => readdirSync(temp).length === 0);
  await until(() => isClosed, 'the end of the download');
  assert.equal(existsSync(pathOf(gitaly, target)), false);
});
