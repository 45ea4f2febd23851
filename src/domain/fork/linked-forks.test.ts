import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Repository } from '#client/repository/index';
import { watchRefs } from '#git/refs/resolve/ref-watch';
import {
  addCommit,
  gitOutput,
  initRepository,
  referenceBackends,
} from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

function sourceOf(gitaly: TestGitaly): Repository {
  return new Repository(gitaly.connection, { path: 'source.git' });
}

function at(gitaly: TestGitaly, name: string): string {
  return join(gitaly.storagePath(), name);
}

function refsOf(path: string): string {
  return gitOutput(path, ['for-each-ref', 'refs/heads', 'refs/tags']);
}

/** Returns the pool of a repository, as git reads the alternates. */
function poolOf(path: string): string {
  const line = readFileSync(`${path}/objects/info/alternates`, 'utf8').trim();
  return join(path, 'objects', line, '..');
}

/** Returns the files of references that forks of the source's pool may share. */
function templatesOf(source: string): string[] {
  const directory = join(poolOf(source), 'gitaly-ts-forks');
  const names = readdirSync(directory).filter((name) => name.startsWith('references'));
  return names.map((name) => join(directory, name));
}

for (const referenceBackend of referenceBackends())
  for (const objectFormat of ['sha1', 'sha256'] as const)
    test(`a fork borrows its objects: ${objectFormat}, ${referenceBackend}`, async () => {
      await using gitaly = await startGitaly();
      const source = at(gitaly, 'source.git');
      initRepository(source, { commits: 3, objectFormat, referenceBackend });
      gitOutput(source, ['tag', '-a', '-m', 'one', 'v1', 'main~1']);
      gitOutput(source, ['symbolic-ref', 'refs/heads/alias', 'refs/heads/main']);
      gitOutput(source, ['update-ref', 'refs/keep-around/kept', 'main~2']);

      await sourceOf(gitaly).fork('fork.git');

      const fork = at(gitaly, 'fork.git');
      assert.equal(refsOf(fork), refsOf(source));
      assert.equal(gitOutput(fork, ['for-each-ref', 'refs/keep-around']), '');
      assert.equal(gitOutput(fork, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
      assert.equal(gitOutput(fork, ['rev-parse', '--show-object-format']), objectFormat);
      const counts = gitOutput(fork, ['count-objects', '-v']).split('\n');
      assert.ok(counts.includes('count: 0') && counts.includes('in-pack: 0'), counts.join());
      gitOutput(fork, ['fsck', '--strict']);
      assert.equal(poolOf(fork), poolOf(source));
      const { objectPool } = await gitaly.connection.objectPool.getObjectPool({
        repository: { storageName: 'default', relativePath: 'fork.git' },
      });
      assert.equal(at(gitaly, objectPool?.repository?.relativePath ?? ''), poolOf(fork));
    });

test('later forks have what was pushed since, and share one file of references', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 2 });
  await sourceOf(gitaly).fork('first.git');
  const first = refsOf(source);
  const ofFirst = statSync(at(gitaly, 'first.git/packed-refs')).ino;
  assert.deepEqual(
    templatesOf(source).map((file) => statSync(file).ino),
    [ofFirst],
  );
  assert.equal(refsOf(poolOf(source)), first, 'the references keep the objects of the pool');
  addCommit(source, 3);
  gitOutput(source, ['repack', '-a', '-d', '-l', '-q']);
  gitOutput(source, ['branch', 'second', 'main']);
  addCommit(source, 4);

  for (const name of ['second.git', 'third.git']) await sourceOf(gitaly).fork(name);

  assert.equal(refsOf(at(gitaly, 'first.git')), first);
  for (const name of ['second.git', 'third.git']) {
    assert.equal(refsOf(at(gitaly, name)), refsOf(source));
    gitOutput(at(gitaly, name), ['fsck', '--strict']);
    assert.equal(poolOf(at(gitaly, name)), poolOf(source));
  }
});

test('changes of a fork or its source do not reach the others', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 2 });
  for (const name of ['a.git', 'b.git']) await sourceOf(gitaly).fork(name);
  const before = refsOf(source);

  gitOutput(at(gitaly, 'a.git'), ['update-ref', '-d', 'refs/heads/main']);
  addCommit(at(gitaly, 'a.git'), 1);
  gitOutput(at(gitaly, 'a.git'), ['pack-refs', '--all']);
  gitOutput(at(gitaly, 'a.git'), ['config', 'a.b', 'c']);
  assert.equal(refsOf(at(gitaly, 'b.git')), before);

  rmSync(source, { recursive: true });
  assert.equal(gitOutput(at(gitaly, 'b.git'), ['rev-list', '--count', 'main']), '2');
  gitOutput(at(gitaly, 'b.git'), ['fsck', '--strict']);
});

test('a fork of one branch has only it, as HEAD', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 3 });
  gitOutput(source, ['branch', 'topic', 'main~1']);
  gitOutput(source, ['tag', 'v1']);

  await sourceOf(gitaly).fork('topic.git', { branch: 'topic' });

  const fork = at(gitaly, 'topic.git');
  assert.equal(refsOf(fork), gitOutput(source, ['for-each-ref', 'refs/heads/topic']));
  assert.equal(gitOutput(fork, ['symbolic-ref', 'HEAD']), 'refs/heads/topic');
  const missing = sourceOf(gitaly).fork('none.git', { branch: 'none' });
  await assert.rejects(missing, /Remote branch none not found/);
  assert.equal(existsSync(at(gitaly, 'none.git')), false);
});

test('a fork of a fork borrows from the same pool, with the objects of the fork', async () => {
  await using gitaly = await startGitaly();
  initRepository(at(gitaly, 'source.git'), { commits: 2 });
  const fork = await sourceOf(gitaly).fork('fork.git');
  addCommit(at(gitaly, 'fork.git'), 3);

  await fork.fork('second.git');

  assert.equal(poolOf(at(gitaly, 'second.git')), poolOf(at(gitaly, 'source.git')));
  assert.equal(refsOf(at(gitaly, 'second.git')), refsOf(at(gitaly, 'fork.git')));
  rmSync(at(gitaly, 'fork.git'), { recursive: true });
  gitOutput(at(gitaly, 'second.git'), ['fsck', '--strict']);
});

test('a shallow source, or any on demand, is copied', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 3 });
  await sourceOf(gitaly).fork('copy.git', { copy: true });
  const head = gitOutput(source, ['rev-parse', 'main~1']);
  writeFileSync(`${source}/shallow`, `${head}\n`);
  await sourceOf(gitaly).fork('shallow.git');

  for (const name of ['copy.git', 'shallow.git']) {
    assert.equal(existsSync(join(at(gitaly, name), 'objects/info/alternates')), false, name);
    assert.equal(refsOf(at(gitaly, name)), refsOf(source), name);
  }
  assert.equal(existsSync(at(gitaly, '@pools')), false);
});

for (const [what, change] of Object.entries<(source: string) => void>({
  grafts: (source) => {
    mkdirSync(`${source}/info`, { recursive: true });
    const [oid, parent] = ['main~1', 'main~2'].map((name) => gitOutput(source, ['rev-parse', name]));
    writeFileSync(`${source}/info/grafts`, `${oid} ${parent}\n`); // as it is
  },
  'objects of a repository that is no pool': (source) => {
    const other = join(source, '../other.git');
    gitOutput(source, ['clone', '--quiet', '--bare', source, other]);
    gitOutput(source, ['repack', '-a', '-d', '-q']);
    writeFileSync(`${source}/objects/info/alternates`, `${other}/objects\n`);
  },
}))
  test(`a source with ${what} gets no pool`, async () => {
    await using gitaly = await startGitaly();
    const source = at(gitaly, 'source.git');
    initRepository(source, { commits: 3 });
    change(source);

    await sourceOf(gitaly).fork('fork.git');

    const fork = at(gitaly, 'fork.git');
    assert.equal(existsSync(join(fork, 'objects/info/alternates')), false);
    assert.equal(existsSync(at(gitaly, '@pools')), false);
    assert.equal(refsOf(fork), refsOf(source));
    gitOutput(fork, ['fsck', '--strict']);
  });

test('of many forks at once each is complete, and there is one pool', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 3 });
  const names = Array.from({ length: 20 }, (_, number) => `forks/${number}.git`);

  await Promise.all(names.map((name) => sourceOf(gitaly).fork(name)));

  for (const name of names) {
    assert.equal(poolOf(at(gitaly, name)), poolOf(source));
    assert.equal(refsOf(at(gitaly, name)), refsOf(source));
  }
  const [template = '', ...others] = templatesOf(source);
  assert.deepEqual(others, []);
  assert.equal(statSync(join(at(gitaly, 'forks/7.git'), 'packed-refs')).ino, statSync(template).ino);
});

// Symptom: a fork of the source had the private branches of another member of its pool.
for (const known of ['read again', 'unchanged'] as const)
  test(`a fork has no references of another member of the pool (its source is ${known})`, async () => {
    await using gitaly = await startGitaly();
    const source = at(gitaly, 'source.git');
    initRepository(source, { commits: 2 });
    // References that have just changed are read again.
    if (known === 'unchanged') await until(() => watchRefs(source) !== undefined);
    const fork = await sourceOf(gitaly).fork('fork.git');
    gitOutput(at(gitaly, 'fork.git'), ['branch', 'private', 'main']);
    await fork.fork('fork-of-fork.git');

    await sourceOf(gitaly).fork('second.git');

    assert.equal(refsOf(at(gitaly, 'second.git')), refsOf(source));
    assert.equal(poolOf(at(gitaly, 'fork-of-fork.git')), poolOf(source));
  });

test('a pool keeps the references of its latest forks only, and forks keep theirs', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 1 });
  const expected: string[] = [];
  for (let number = 0; number < 12; number++) {
    gitOutput(source, ['branch', `b${number}`, 'main']);
    expected.push(refsOf(source));
    await sourceOf(gitaly).fork(`${number}.git`);
  }

  for (const [number, refs] of expected.entries()) assert.equal(refsOf(at(gitaly, `${number}.git`)), refs);
  const templates = new Set(templatesOf(source).map((file) => statSync(file).ino));
  assert.equal(templates.size, 8);
  const latest = statSync(at(gitaly, '11.git/packed-refs'));
  assert.ok(templates.has(latest.ino));
});

test('deleting the pool leaves forks with all objects, and the next fork gets another pool', async () => {
  await using gitaly = await startGitaly();
  const source = at(gitaly, 'source.git');
  initRepository(source, { commits: 2 });
  await sourceOf(gitaly).fork('fork.git');
  const relativePath = poolOf(source).slice(gitaly.storagePath().length + 1);

  const repository = { storageName: 'default', relativePath };
  await gitaly.connection.objectPool.deleteObjectPool({ objectPool: { repository } });
  await sourceOf(gitaly).fork('next.git');

  gitOutput(at(gitaly, 'fork.git'), ['fsck', '--strict']);
  gitOutput(at(gitaly, 'next.git'), ['fsck', '--strict']);
  assert.notEqual(poolOf(at(gitaly, 'next.git')), at(gitaly, relativePath));
});
