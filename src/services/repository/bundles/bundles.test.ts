import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const source = { storageName: 'default', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'group/target.git' };
const FORMATS = ['sha1', 'sha256'] as const;

function refsOf(path: string): string {
  return gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']);
}

/** Creates a repository with branches, a tag, an internal reference, and HEAD elsewhere. */
function makeSource(gitaly: TestGitaly, objectFormat: 'sha1' | 'sha256' = 'sha1'): string {
  const path = initServed(gitaly, 'source.git', { commits: 3, objectFormat });
  gitOutput(path, ['branch', 'topic', 'main~1']);
  gitOutput(path, ['tag', '-a', '-m', 'message', 'v1', 'main']);
  gitOutput(path, ['update-ref', 'refs/keep-around/kept', 'main~2']);
  gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/topic']);
  return path;
}

async function bytesOf(messages: AsyncIterable<{ data: Uint8Array }>): Promise<Buffer> {
  return Buffer.concat((await Array.fromAsync(messages)).map(({ data }) => data));
}

/** Yields one request per piece of data, the first with the repository. */
async function* pieces(repository: typeof target, data: Buffer, pieceBytes = 100) {
  yield { repository };
  for (let at = 0; at < data.length; at += pieceBytes) yield { data: data.subarray(at, at + pieceBytes) };
}

for (const objectFormat of FORMATS) {
  test(`a ${objectFormat} repository becomes a bundle and a repository again`, async () => {
    await using gitaly = await startGitaly();
    const path = makeSource(gitaly, objectFormat);
    const { repository: calls } = gitaly.connection;

    const bundle = await bytesOf(calls.createBundle({ repository: source }));
    await calls.createRepositoryFromBundle(pieces(target, bundle));

    const created = join(gitaly.storagePath(), target.relativePath);
    assert.equal(refsOf(created), refsOf(path));
    assert.equal(gitOutput(created, ['symbolic-ref', 'HEAD']), 'refs/heads/topic');
    assert.equal(gitOutput(created, ['rev-parse', '--show-object-format']), objectFormat);
    assert.doesNotMatch(gitOutput(created, ['config', '--list', '--local']), /^remote\./m);
    gitOutput(created, ['fsck', '--strict']);
  });

  test(`FetchBundle brings references into a ${objectFormat} repository and keeps others`, async () => {
    await using gitaly = await startGitaly();
    const path = makeSource(gitaly, objectFormat);
    const created = initServed(gitaly, target.relativePath, { objectFormat });
    const { repository: calls } = gitaly.connection;
    const bundle = await bytesOf(calls.createBundle({ repository: source }));
    await calls.fetchBundle(pieces(target, bundle));
    gitOutput(created, ['branch', 'own', 'main']);
    gitOutput(path, ['branch', '--force', 'main', 'main~1']);
    const head = gitOutput(created, ['symbolic-ref', 'HEAD']);

    const changed = await bytesOf(calls.createBundle({ repository: source }));
    await calls.fetchBundle(pieces(target, changed));

    const withoutOwn = refsOf(created)
      .split('\n')
      .filter((line) => !line.startsWith('refs/heads/own '));
    assert.equal(withoutOwn.join('\n'), refsOf(path));
    assert.equal(gitOutput(created, ['rev-parse', 'own~1']), gitOutput(path, ['rev-parse', 'main']));
    assert.equal(gitOutput(created, ['symbolic-ref', 'HEAD']), head);
    gitOutput(created, ['fsck', '--strict']);
  });
}

test('FetchBundle points HEAD to the branch at the commit of the bundle\u2019s HEAD', async () => {
  await using gitaly = await startGitaly();
  makeSource(gitaly);
  const created = initServed(gitaly, target.relativePath);
  const { repository: calls } = gitaly.connection;
  const bundle = await bytesOf(calls.createBundle({ repository: source }));

  const [first, ...rest] = await Array.fromAsync(pieces(target, bundle));
  await calls.fetchBundle(
    (async function* () {
      yield { ...first, updateHead: true };
      yield* rest;
    })(),
  );

  assert.equal(gitOutput(created, ['symbolic-ref', 'HEAD']), 'refs/heads/topic');
});

test('a HEAD of a bundle that is at no branch is an error, and the references have come', async () => {
  await using gitaly = await startGitaly();
  const path = makeSource(gitaly);
  gitOutput(path, ['update-ref', '--no-deref', 'HEAD', 'main~2']);
  const created = initServed(gitaly, target.relativePath);
  const bundle = await bytesOf(gitaly.connection.repository.createBundle({ repository: source }));

  const fetching = gitaly.connection.repository.fetchBundle(
    (async function* () {
      yield { repository: target, updateHead: true, data: bundle };
    })(),
  );

  await assert.rejects(fetching, {
    code: 'INTERNAL',
    message: 'fetch bundle: guess head: reference not found',
  });
  assert.equal(refsOf(created), refsOf(path));
});

test('CreateBundleFromRefList contains what git bundles for the same patterns', async () => {
  await using gitaly = await startGitaly();
  const path = makeSource(gitaly);
  const patterns = ['refs/heads/main', '^refs/heads/topic', 'refs/heads/absent'].map((text) =>
    Buffer.from(text),
  );

  const bundle = await bytesOf(
    gitaly.connection.repository.createBundleFromRefList(
      (async function* () {
        yield { repository: source };
        for (const pattern of patterns) yield { patterns: [pattern] };
      })(),
    ),
  );

  const expected = gitOutput(path, ['bundle', 'create', '-q', '-', 'main', '^topic']);
  assert.equal(bundle.toString('latin1', 0, bundle.indexOf('\n\n')), expected.split('\n\n')[0]);
});

test('an empty repository has no bundle', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'source.git');
  const { repository: calls } = gitaly.connection;

  const all = bytesOf(calls.createBundle({ repository: source }));
  const listed = bytesOf(
    calls.createBundleFromRefList(
      (async function* () {
        yield { repository: source, patterns: [Buffer.from('--all')] };
      })(),
    ),
  );

  const message = 'create bundle: refusing to create empty bundle';
  await Promise.all([
    assert.rejects(all, { code: 'INTERNAL', message }),
    assert.rejects(listed, { code: 'FAILED_PRECONDITION', message }),
  ]);
});

for (const [what, data] of [
  ['the path of another repository', (path: string) => `gitdir: ${path}\n`],
  ['junk', () => 'junk'],
  ['nothing', () => ''],
  ['a header without a pack', () => '# v2 git bundle\n'],
  [
    'a broken pack',
    (path: string) => `# v2 git bundle\n${gitOutput(path, ['rev-parse', 'main'])} refs/heads/main\n\nPACKxx`,
  ],
  [
    'a name outside refs',
    (path: string) => `# v2 git bundle\n${gitOutput(path, ['rev-parse', 'main'])} refs/heads/../../x\n\n`,
  ],
] as const) {
  test(`${what} instead of a bundle creates nothing and fetches nothing`, async () => {
    await using gitaly = await startGitaly();
    const path = makeSource(gitaly);
    const other = initServed(gitaly, 'other.git', { commits: 1 });
    const before = refsOf(other);
    const { repository: calls } = gitaly.connection;

    const create = calls.createRepositoryFromBundle(pieces(target, Buffer.from(data(path))));
    const fetch = calls.fetchBundle(
      pieces({ ...target, relativePath: 'other.git' }, Buffer.from(data(path))),
    );

    // git makes an empty repository of a bundle that names no references.
    await Promise.allSettled([create, fetch]);
    const created = join(gitaly.storagePath(), target.relativePath);
    assert.equal(existsSync(created) ? refsOf(created) : '', '');
    assert.equal(refsOf(other), before);
  });
}

// git reads a header byte by byte: 18 MB without an end kept a call busy for 40 seconds.
for (const [what, line] of [
  ['many references', `${'ab'.repeat(20)} refs/heads/main\n`],
  ['one line', 'a'.repeat(64)],
] as const) {
  test(`a header of ${what} that never ends is refused without git`, async () => {
    await using gitaly = await startGitaly();
    makeSource(gitaly);
    initServed(gitaly, 'other.git', { commits: 1 });
    const piece = Buffer.from(line.repeat(2000));
    const endless = async function* (repository: object) {
      yield { repository, data: Buffer.from('# v2 git bundle\n') };
      for (let bytes = 0; bytes < 18e6; bytes += piece.length) yield { data: piece };
    };
    const { repository: calls } = gitaly.connection;
    const start = performance.now();

    const ends = await Promise.allSettled([
      calls.createRepositoryFromBundle(endless(target)),
      calls.fetchBundle(endless({ ...target, relativePath: 'other.git' })),
    ]);

    for (const end of ends) {
      assert.ok(end.status === 'rejected');
      assert.match(
        String(end.reason),
        what === 'one line' ? /header of the bundle is too large/ : /exit status 128/,
      );
    }
    assert.ok(performance.now() - start < 10_000, `${performance.now() - start} ms`);
    assert.equal(existsSync(join(gitaly.storagePath(), target.relativePath)), false);
  });
}

test('a bundle that lacks objects, is damaged, or needs another repository creates nothing', async () => {
  await using gitaly = await startGitaly();
  const path = makeSource(gitaly);
  const { repository: calls } = gitaly.connection;
  const bundle = await bytesOf(calls.createBundle({ repository: source }));
  const packAt = bundle.indexOf('PACK');
  const damaged = Buffer.from(bundle);
  damaged.writeUInt8(damaged.readUInt8(packAt + 60) ^ 0xff, packAt + 60);
  const main = gitOutput(path, ['rev-parse', 'main']);
  const missing = Buffer.from(bundle.toString('latin1').replace(main, 'ab'.repeat(20)), 'latin1');
  const thin = Buffer.from(gitOutput(path, ['bundle', 'create', '-q', '-', 'main', '^main~1']), 'latin1');

  for (const bytes of [damaged, missing, thin, bundle.subarray(0, packAt + 100)]) {
    await assert.rejects(calls.createRepositoryFromBundle(pieces(target, bytes)), {
      code: 'INTERNAL',
      message: 'creating repository: cloning bundle: waiting for git-clone: exit status 128',
    });
    assert.equal(existsSync(join(gitaly.storagePath(), target.relativePath)), false);
  }
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
});

test('of many that create a repository from a bundle at once one wins', async () => {
  await using gitaly = await startGitaly();
  const path = makeSource(gitaly);
  const { repository: calls } = gitaly.connection;
  const bundle = await bytesOf(calls.createBundle({ repository: source }));

  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () => calls.createRepositoryFromBundle(pieces(target, bundle))),
  );

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(refsOf(join(gitaly.storagePath(), target.relativePath)), refsOf(path));
});

test('a client that leaves in the middle of a bundle leaves nothing behind', async () => {
  await using gitaly = await startGitaly();
  makeSource(gitaly);
  const { repository: calls } = gitaly.connection;
  const bundle = await bytesOf(calls.createBundle({ repository: source }));
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  const spooled = () => (existsSync(temp) ? readdirSync(temp, { recursive: true }) : []);
  const abort = new AbortController();

  const creating = calls.createRepositoryFromBundle(
    (async function* () {
      const inPack = bundle.indexOf('PACK') + 20;
      yield { repository: target, data: bundle.subarray(0, inPack) };
      await until(() => spooled().some((name) => String(name).includes('tmp_pack')));
      abort.abort();
      yield { data: bundle.subarray(inPack) };
    })(),
    { signal: abort.signal },
  );

  await assert.rejects(creating, { code: 'CANCELLED' });
  await until(() => spooled().length === 0);
  assert.equal(existsSync(join(gitaly.storagePath(), 'group')), false);
});

test('CreateBundle removes working trees that dead operations have left', async () => {
  await using gitaly = await startGitaly();
  const path = makeSource(gitaly);
  gitOutput(path, ['worktree', 'add', '-q', '--detach', 'gitlab-worktree/old', 'main']);
  gitOutput(path, ['worktree', 'add', '-q', '--detach', 'gitlab-worktree/young', 'main']);
  mkdirSync(join(path, 'worktrees/broken'));
  writeFileSync(join(path, 'worktrees/broken/gitdir'), '/nowhere/.git\n');
  gitOutput(path, ['-C', '/', '--git-dir', path, 'config', 'gc.worktreePruneExpire', 'now']);
  // The limit of Gitaly is six hours.
  for (const [name, hours] of [['old', 7] as const, ['young', 5] as const]) {
    const time = new Date(Date.now() - hours * 3600 * 1000);
    utimesSync(join(path, 'gitlab-worktree', name), time, time);
  }

  await bytesOf(gitaly.connection.repository.createBundle({ repository: source }));

  assert.deepEqual(readdirSync(join(path, 'gitlab-worktree')), ['young']);
  assert.deepEqual(readdirSync(join(path, 'worktrees')), ['young']);
});
