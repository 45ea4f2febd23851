import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  addCommit,
  gitOutput,
  initRepository,
  referenceBackends,
} from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { startVotingServer } from '#testkit/servers/voting-server';
import { type StartGitalyOptions, startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const source = { storageName: 'far', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'group/target.git' };

/** Two servers: the one that is called, and the one with the source. */
async function startTwo(options: StartGitalyOptions = {}) {
  const stack = new AsyncDisposableStack();
  const here = stack.use(await startGitaly(options));
  const there = stack.use(await startGitaly({ storages: ['far'], token: 'secret' }));
  const servers = { far: { address: there.address, token: 'secret' } };
  const metadata = { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') };
  return {
    here,
    there: join(there.storagePath('far'), source.relativePath),
    copy: join(here.storagePath(), target.relativePath),
    metadata,
    far: there,
    replicate: (options = {}) =>
      here.connection.repository.replicateRepository(
        { repository: target, source, ...options },
        { metadata },
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function refsOf(path: string): string {
  const refs = gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname) %(symref)']);
  return `${gitOutput(path, ['symbolic-ref', 'HEAD'])}\n${refs}`;
}

function tempNames(gitaly: TestGitaly): string[] {
  const temp = join(gitaly.storagePath(), '+gitaly/tmp');
  return existsSync(temp) ? readdirSync(temp) : [];
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a ${objectFormat} repository of another server is copied, and again after changes`, async () => {
    await using two = await startTwo();
    const { there, copy } = two;
    initRepository(there, { commits: 3, objectFormat });
    gitOutput(there, ['tag', '-a', '-m', 'message', 'v1', 'main~1']);
    gitOutput(there, ['update-ref', 'refs/keep-around/kept', 'main~2']);
    gitOutput(there, ['branch', 'old', 'main']);

    await two.replicate();
    const first = refsOf(copy);

    assert.equal(first, refsOf(there));
    assert.equal(gitOutput(copy, ['rev-parse', '--show-object-format']), objectFormat);

    addCommit(there, 4);
    gitOutput(there, ['branch', '-D', 'old']);
    gitOutput(there, ['symbolic-ref', 'HEAD', 'refs/heads/trunk']);
    gitOutput(there, ['branch', 'trunk', 'main~1']);
    gitOutput(there, ['config', 'gitlab.x', 'y']);
    await two.replicate();

    assert.notEqual(refsOf(copy), first);
    assert.equal(refsOf(copy), refsOf(there));
    assert.equal(readFileSync(join(copy, 'config'), 'utf8'), readFileSync(join(there, 'config'), 'utf8'));
    gitOutput(copy, ['fsck', '--strict']);
  });
}

// Born failing: a copy of files to a server with reftables, as `refs/heads` is a file in one and a
// directory in the other; and an existing copy lost its references when its source had changed.
for (const format of referenceBackends())
  for (const ofNew of referenceBackends())
    test(`a copy has the format of its source: ${format}, where new ones are ${ofNew}`, async () => {
      await using two = await startTwo({ config: { git: { default_ref_format: ofNew } } });
      const { there, copy } = two;
      initRepository(there, { commits: 2, referenceBackend: format });
      gitOutput(there, ['tag', 'v1', 'main~1']);
      gitOutput(there, ['pack-refs', '--all']);
      gitOutput(there, ['branch', 'later']);

      await two.replicate();

      const refs = refsOf(there);
      assert.equal(gitOutput(copy, ['config', '--default', 'files', 'extensions.refstorage']), format);
      assert.equal(refsOf(copy), refs);
      gitOutput(copy, ['fsck', '--strict']);

      const other = format === 'files' ? 'reftable' : 'files';
      if (needsGit('refsMigrate')) return;
      gitOutput(there, ['refs', 'migrate', `--ref-format=${other}`]);
      gitOutput(there, ['branch', 'latest']);
      await two.replicate();

      assert.equal(gitOutput(copy, ['rev-parse', '--show-ref-format']), other);
      assert.equal(refsOf(copy), refsOf(there));
      gitOutput(copy, ['fsck', '--strict']);
      rmSync(join(two.here.storagePath(), '+gitaly/tmp'), { recursive: true }); // the old copy
    });

/** Makes the source a member of a pool. @returns the pool's relative path. */
async function linkToPool(two: Awaited<ReturnType<typeof startTwo>>): Promise<string> {
  const relativePath = `@pools/aa/bb/aabb${'0'.repeat(60)}.git`;
  const objectPool = { repository: { ...source, relativePath } };
  const { objectPool: pools } = two.far.connection;
  await pools.createObjectPool({ objectPool, origin: source });
  await pools.linkRepositoryToObjectPool({ repository: source, objectPool });
  return relativePath;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a copy joins and leaves the pool of its source if requested (${objectFormat})`, async () => {
    await using two = await startTwo();
    initRepository(two.there, { commits: 3, objectFormat });
    const alternates = join(two.copy, 'objects/info/alternates');
    const withPool = { replicateObjectDeduplicationNetworkMembership: true };
    const poolPath = await linkToPool(two);

    await two.replicate();
    assert.equal(existsSync(alternates), false);
    assert.equal(existsSync(join(two.here.storagePath(), '@pools')), false);

    for (const _ of [1, 2]) await two.replicate(withPool);
    const copiedPool = join(two.here.storagePath(), poolPath);
    assert.equal(join(two.copy, 'objects', readFileSync(alternates, 'utf8')), join(copiedPool, 'objects'));
    assert.equal(gitOutput(copiedPool, ['rev-parse', 'main']), gitOutput(two.there, ['rev-parse', 'main']));
    assert.equal(refsOf(two.copy), refsOf(two.there));
    gitOutput(two.copy, ['repack', '-adlq']); // drops what the pool has
    gitOutput(two.copy, ['fsck', '--strict']);

    await two.far.connection.objectPool.disconnectGitAlternates({ repository: source });
    await two.replicate(withPool);
    assert.equal(existsSync(alternates), false);
    gitOutput(two.copy, ['fsck', '--strict']);
    assert.deepEqual(tempNames(two.here), []);
  });
}

test('a copy in another pool than its source is refused', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 1 });
  await linkToPool(two);
  await two.replicate();
  const other = { storageName: 'default', relativePath: `@pools/cc/dd/ccdd${'0'.repeat(60)}.git` };
  const pools = two.here.connection.objectPool;
  await pools.createObjectPool({ objectPool: { repository: other }, origin: target });
  await pools.linkRepositoryToObjectPool({ repository: target, objectPool: { repository: other } });

  await assert.rejects(two.replicate({ replicateObjectDeduplicationNetworkMembership: true }), {
    code: 'FAILED_PRECONDITION',
    message:
      'replicating repository: synchronizing object pools: target repository links to different object pool',
  });
  gitOutput(two.copy, ['fsck', '--strict']);
});

test('custom hooks are copied, and removed with those of the source', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 1 });
  mkdirSync(join(two.there, 'custom_hooks/update.d'), { recursive: true });
  writeFileSync(join(two.there, 'custom_hooks/update.d/1'), '#!/bin/sh\n', { mode: 0o755 });

  await two.replicate();
  assert.equal(readFileSync(join(two.copy, 'custom_hooks/update.d/1'), 'utf8'), '#!/bin/sh\n');

  rmSync(join(two.there, 'custom_hooks'), { recursive: true });
  await two.replicate();
  await two.replicate();
  assert.deepEqual(readdirSync(join(two.copy, 'custom_hooks')), []);
});

test('what is no repository is moved away, and kept', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 1 });
  mkdirSync(two.copy, { recursive: true });
  writeFileSync(join(two.copy, 'precious'), 'data');

  await two.replicate();

  assert.equal(refsOf(two.copy), refsOf(two.there));
  const [kept = ''] = tempNames(two.here);
  assert.match(kept, /^default-repositories\.old\.\d+\./);
  const keptPath = join(two.here.storagePath(), '+gitaly/tmp', kept);
  assert.equal(readFileSync(join(keptPath, 'target.git/precious'), 'utf8'), 'data');
  rmSync(keptPath, { recursive: true });
});

test('a directory with other repositories is not moved away', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 1 });
  const other = join(two.copy, 'other.git');
  initRepository(other, { commits: 1 });

  await assert.rejects(two.replicate(), {
    code: 'FAILED_PRECONDITION',
    message: 'could not create repository from snapshot: target directory contains other repositories',
  });

  assert.equal(existsSync(join(other, 'HEAD')), true);
});

test('a source that is none is not found, and the target stays as it is', async () => {
  await using two = await startTwo();
  initRepository(two.copy, { commits: 1 });
  const before = refsOf(two.copy);

  await assert.rejects(two.replicate(), { code: 'NOT_FOUND', message: 'invalid source repository' });

  assert.equal(refsOf(two.copy), before);
});

test('of several that copy to one new path all end with the copy, or one creates it', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 3 });

  const results = await Promise.allSettled([two.replicate(), two.replicate(), two.replicate()]);

  assert.ok(results.some(({ status }) => status === 'fulfilled'));
  assert.equal(refsOf(two.copy), refsOf(two.there));
  gitOutput(two.copy, ['fsck', '--strict']);
});

test('a copy that is aborted before it is complete is never visible', async () => {
  await using two = await startTwo();
  initRepository(two.there, { commits: 1 });
  await using voting = await startVotingServer(two.here.address);
  const abort = new AbortController();
  const undecided = Promise.withResolvers<'ABORT'>();
  voting.decide = () => {
    abort.abort();
    return undecided.promise;
  };

  const copying = voting.connection.repository.replicateRepository(
    { repository: target, source },
    { metadata: { ...two.metadata, ...voting.metadata() }, signal: abort.signal },
  );

  await assert.rejects(copying, { code: 'CANCELLED' });
  await until(() => tempNames(two.here).length === 0);
  undecided.resolve('ABORT');
  assert.equal(existsSync(two.copy), false);
  assert.deepEqual(readdirSync(join(two.copy, '..')), []);
});

// The copy was moved away, and replaced by one with the configuration of the source.
test('a source with an unknown storage of references is refused, and the copy stays', async () => {
  await using two = await startTwo();
  const { there, copy } = two;
  initRepository(there, { commits: 2 });
  await two.replicate();
  const before = refsOf(copy);
  appendFileSync(join(there, 'config'), '[extensions]\n\trefstorage = junk\n');

  await assert.rejects(two.replicate(), {
    code: 'INTERNAL',
    message: /^source reference backend: repository info: .*: unknown reference backend: "junk"$/,
  });

  assert.equal(refsOf(copy), before);
});

const DETACHED = { 'x-gitaly-detached-head': 'true' };
const BROKEN_HEAD =
  'replicating repository: synchronizing references: fetch internal remote: ' +
  'getting remote default branch: head reference: exit status 128';

// Gitaly reads HEAD before it fetches. The copy had the new references, and other words.
for (const [name, breakHead] of [
  ['detached', (path: string) => gitOutput(path, ['update-ref', '--no-deref', 'HEAD', 'main'])],
  ['junk', (path: string) => writeFileSync(join(path, 'HEAD'), 'junk\n')],
  ['outside of refs', (path: string) => writeFileSync(join(path, 'HEAD'), 'ref: elsewhere\n')],
] as const)
  test(`a source whose HEAD is ${name} fails before its references are fetched`, async () => {
    await using two = await startTwo();
    const { there, copy } = two;
    initRepository(there, { commits: 2 });
    await two.replicate();
    const before = refsOf(copy);
    addCommit(there, 3);
    gitOutput(there, ['config', 'core.copied', 'yes']);
    breakHead(there);

    await assert.rejects(two.replicate(), { code: 'INTERNAL', message: BROKEN_HEAD });

    assert.equal(refsOf(copy), before);
    assert.equal(gitOutput(copy, ['config', 'core.copied']), 'yes', 'the configuration comes first');
  });

// The replica of a repository with a detached HEAD never caught up.
test('a detached HEAD is copied if requested, and later a symbolic one', async () => {
  await using two = await startTwo();
  const { there, copy } = two;
  initRepository(there, { commits: 2 });
  await two.replicate();
  const tree = gitOutput(there, ['rev-parse', 'main^{tree}']);
  const only = gitOutput(there, ['commit-tree', '-m', 'of HEAD alone', tree]);
  gitOutput(there, ['update-ref', '--no-deref', 'HEAD', only]);
  gitOutput(there, ['branch', 'added', 'main~1']);
  const metadata = { ...two.metadata, ...DETACHED };
  const replicate = () =>
    two.here.connection.repository.replicateRepository({ repository: target, source }, { metadata });

  for (let call = 0; call < 2; call++) await replicate();

  assert.throws(() => gitOutput(copy, ['symbolic-ref', 'HEAD']));
  assert.equal(gitOutput(copy, ['rev-parse', 'HEAD']), only);
  assert.equal(gitOutput(copy, ['show-ref']), gitOutput(there, ['show-ref']));
  gitOutput(copy, ['fsck', '--connectivity-only']);
  gitOutput(there, ['symbolic-ref', 'HEAD', 'refs/heads/added']);
  await replicate();
  assert.equal(refsOf(copy), refsOf(there));
});
