import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { addOddDates, detachHead } from '#testkit/repositories/generated/odd-repositories';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { CallError } from '../call/call-error.ts';
import {
  FileChangeError,
  HookRejectedError,
  MergeConflictError,
  ReferenceChangedError,
  ReferenceExistsError,
  Repository,
} from './index.ts';

const USER = { id: 'user-1', username: 'jane', name: 'Jane Doe', email: 'jane@example.com' };

interface Arranged extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly repository: Repository;
  git(...args: string[]): string;
}

async function arrange(options?: { objectFormat: 'sha1' | 'sha256' }): Promise<Arranged> {
  const gitaly = await startGitaly();
  const repository = new Repository(gitaly.connection, { path: 'a.git', user: USER });
  await repository.create(options);
  return {
    gitaly,
    repository,
    git: (...args) => gitOutput(join(gitaly.storagePath(), 'a.git'), args),
    [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose](),
  };
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`files are committed, replaced, removed and read, ${objectFormat}`, async () => {
    await using arranged = await arrange({ objectFormat });
    const { git, repository } = arranged;
    const first = await repository.commit({
      branch: 'main',
      message: 'first\n\nwith a body\n',
      files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n', 'old.bin': Buffer.of(0xff, 0) },
    });
    assert.equal(first, git('rev-parse', 'main'));

    const second = await repository.commit({
      branch: 'main',
      message: 'second',
      files: { 'README.md': 'hello again\n', 'old.bin': null, 'new.txt': 'new\n' },
      actions: [{ type: 'chmod', path: 'src/a.ts', executable: true }],
      author: { name: 'Someone Else', email: 'else@example.com' },
      expectedOid: first,
    });

    assert.equal(git('rev-parse', 'main~'), first);
    assert.equal(await repository.readFile('main', 'README.md'), 'hello again\n');
    assert.equal(await text(await repository.openFile(second, 'new.txt')), 'new\n');
    assert.deepEqual(await repository.readBytes(first, 'old.bin'), Buffer.of(0xff, 0));
    const listed = await Array.fromAsync(repository.files('main'));
    assert.deepEqual(
      listed.map(({ mode, oid, path, type }) => `${mode.toString(8)} ${type} ${oid} ${path}`),
      git('ls-tree', '-r', '--format=%(objectmode) %(objecttype) %(objectname) %(path)', 'main')
        .replaceAll(' blob ', ' file ')
        .split('\n'),
    );
    const top = await Array.fromAsync(repository.files('main', { recursive: false }));
    assert.deepEqual(
      top.map(({ path, type }) => [path, type]),
      [
        ['README.md', 'file'],
        ['new.txt', 'file'],
        ['src', 'directory'],
      ],
    );
    const inside = await Array.fromAsync(repository.files('main', { path: 'src' }));
    assert.deepEqual(
      inside.map(({ path }) => path),
      ['src/a.ts'],
    );
    assert.equal(
      git('log', '-1', '--format=%an <%ae> %cn', 'main'),
      'Someone Else <else@example.com> Jane Doe',
    );
  });

test('what is not there is an error that says so', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  await repository.commit({ branch: 'main', message: 'm', files: { 'dir/file': 'x' } });

  await assert.rejects(repository.readFile('main', 'none'), {
    code: 'NOT_FOUND',
    message: 'no file none at main',
  });
  await assert.rejects(repository.readFile('nowhere', 'dir/file'), {
    code: 'NOT_FOUND',
    message: 'no commit at nowhere',
  });
  await assert.rejects(repository.readFile('main', 'dir'), {
    code: 'FAILED_PRECONDITION',
    message: 'dir is no file',
  });
  assert.equal(await repository.findCommit('nowhere'), undefined);
  await assert.rejects(repository.merge({ source: 'nowhere', into: 'main', message: 'm' }), {
    code: 'NOT_FOUND',
    message: 'no commit at nowhere',
  });
});

test('the history has commits as values', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  for (const number of [1, 2, 3])
    await repository.commit({
      branch: 'main',
      message: `number ${number}\n\nbody`,
      files: { [`f${number}`]: '' },
    });

  const all = await Array.fromAsync(repository.log('main'));
  const limited = await Array.fromAsync(repository.log('main', { limit: 1, skip: 1 }));
  const ofFile = await Array.fromAsync(repository.log('main', { paths: ['f1'] }));

  assert.deepEqual(
    all.map(({ id, parents, subject, tree }) => [id, parents.join(' '), tree, subject].join('|')),
    git('log', '--format=%H|%P|%T|%s', 'main').split('\n'),
  );
  assert.deepEqual([limited[0]?.subject, limited.length], ['number 2', 1]);
  assert.deepEqual(
    ofFile.map(({ message }) => message),
    ['number 1\n\nbody'],
  );
  const [newest] = all;
  assert.deepEqual(newest?.author, {
    name: USER.name,
    email: USER.email,
    date: new Date(git('log', '-1', '--format=%aI', 'main')),
    timezone: '+0000',
  });
  assert.deepEqual(await repository.findCommit('main'), newest);
  assert.deepEqual(await Array.fromAsync(repository.log('main', { limit: 0 })), []);
});

test('the history without merges has none', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  const base = await repository.commit({ branch: 'main', message: 'base', files: { a: '' } });
  const side = await repository.commit({
    branch: 'side',
    start: { oid: base },
    message: 'side',
    files: { b: '' },
  });
  const tip = await repository.commit({ branch: 'main', message: 'tip', files: { c: '' } });
  const merge = git('commit-tree', '-p', tip, '-p', side, '-m', 'merge', `${tip}^{tree}`);

  const subjects = async (options?: { noMerges: boolean }): Promise<string[]> =>
    (await Array.fromAsync(repository.log(merge, options))).map(({ subject }) => subject).sort();

  assert.deepEqual(await subjects({ noMerges: true }), ['base', 'side', 'tip']);
  assert.deepEqual(await subjects(), ['base', 'merge', 'side', 'tip']);
});

test('a difference has a status for each file, and its patch as text and bytes', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  const long = 'line\n'.repeat(50);
  const files = { changed: 'one\n', deleted: 'x\n', 'moved from': long };
  const before = await repository.commit({ branch: 'main', message: 'a', files });
  const after = await repository.commit({
    branch: 'main',
    message: 'b',
    files: { changed: 'two\n', deleted: null, added: 'y\n' },
    actions: [{ type: 'move', previousPath: 'moved from', path: 'moved to' }],
  });

  const changes = await Array.fromAsync(repository.diff(before, after));

  assert.deepEqual(
    changes.map(({ status, previousPath, path }) => `${status} ${previousPath} ${path}`),
    [
      'added added added',
      'modified changed changed',
      'deleted deleted deleted',
      'renamed moved from moved to',
    ],
  );
  const changed = changes.find(({ path }) => path === 'changed');
  assert.ok(git('diff', before, after, '--', 'changed').endsWith(changed?.patch.trimEnd() ?? 'none'));
  assert.deepEqual([changed?.linesAdded, changed?.linesRemoved, changed?.isBinary], [1, 1, false]);
  const one = await Array.fromAsync(repository.diff(before, after, { paths: ['added'] }));
  assert.deepEqual(
    one.map(({ path }) => path),
    ['added'],
  );
});

test('branches and tags come, go and are listed', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  assert.equal(await repository.defaultBranch(), undefined);
  const tip = await repository.commit({ branch: 'main', message: 'm', files: { a: 'a' } });
  await repository.createBranch('topic', 'main');
  await repository.createTag('v1', tip);
  await repository.createTag('v2', 'main', { message: 'the second' });

  const branches = await Array.fromAsync(repository.branches());
  const tags = await Array.fromAsync(repository.tags());

  assert.deepEqual(
    branches.map(({ name, commit }) => [name, commit.id]),
    [
      ['main', tip],
      ['topic', tip],
    ],
  );
  assert.deepEqual(
    tags.map(({ name, id, commit, message }) => [name, id, commit?.id, message]),
    [
      ['v1', tip, tip, ''],
      ['v2', git('rev-parse', 'v2'), tip, 'the second'],
    ],
  );
  assert.equal(tags[1]?.tagger?.name, USER.name);
  assert.equal(await repository.defaultBranch(), 'main');
  for (const [make, reference, code] of [
    [() => repository.createBranch('topic', 'main'), 'refs/heads/topic', 'FAILED_PRECONDITION'],
    [() => repository.createTag('v1', 'main'), 'refs/tags/v1', 'ALREADY_EXISTS'],
  ] as const)
    await assert.rejects(make(), (error) => {
      assert.ok(error instanceof ReferenceExistsError);
      assert.ok(error.cause instanceof CallError);
      assert.deepEqual([error.reference, error.code], [reference, code]);
      return true;
    });
  await assert.rejects(
    repository.createBranch('other', 'nowhere'),
    (error) => error instanceof CallError && error.code === 'FAILED_PRECONDITION',
  );
  await assert.rejects(repository.deleteBranch('main'), {
    code: 'FAILED_PRECONDITION',
    message: /default branch.*allowDefault/,
  });
  await repository.deleteBranch('topic');
  await repository.deleteTag('v1');
  assert.equal(git('for-each-ref', '--format=%(refname)'), 'refs/heads/main\nrefs/tags/v2');
  await assert.rejects(repository.deleteBranch('topic'), { code: 'FAILED_PRECONDITION' });
});

/** Two branches that change the same line, and an unrelated third one. */
async function diverge({ repository }: Arranged): Promise<{ base: string; mine: string; theirs: string }> {
  const base = await repository.commit({ branch: 'main', message: 'base', files: { a: 'one\n', b: 'b\n' } });
  const start = { oid: base };
  const theirs = await repository.commit({ branch: 'theirs', start, message: 't', files: { a: 'theirs\n' } });
  await repository.commit({ branch: 'beside', start, message: 'beside', files: { c: 'c\n' } });
  const mine = await repository.commit({ branch: 'main', message: 'mine', files: { a: 'mine\n' } });
  return { base, mine, theirs };
}

test('branches are merged, and changes picked and undone', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  const { mine } = await diverge(arranged);

  const merged = await repository.merge({ source: 'beside', into: 'main', message: 'merge beside' });
  const reverted = await repository.revert({ commit: mine, onto: 'main', message: 'undo' });
  const picked = await repository.cherryPick({ commit: 'theirs', onto: 'main', message: 'pick' });

  assert.equal(git('rev-parse', `${merged}^2`), git('rev-parse', 'beside'));
  assert.deepEqual(git('log', '-3', '--first-parent', '--format=%H', 'main').split('\n'), [
    picked,
    reverted,
    merged,
  ]);
  assert.equal(await repository.readFile('main', 'a'), 'theirs\n');
  assert.equal(await repository.readFile(reverted, 'a'), 'one\n');
});

test('a conflict names its files, and nothing has changed', async () => {
  await using arranged = await arrange();
  const { git, repository } = arranged;
  const { mine, theirs } = await diverge(arranged);

  const conflict = async (error: unknown): Promise<void> => {
    assert.ok(error instanceof MergeConflictError);
    assert.deepEqual(error.files, ['a']);
  };
  await repository.merge({ source: 'theirs', into: 'main', message: 'm' }).then(assert.fail, conflict);
  await repository.cherryPick({ commit: theirs, onto: 'main', message: 'm' }).then(assert.fail, conflict);

  assert.equal(git('rev-parse', 'main'), mine);
});

test('a change that is based on an old state is refused', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  const { base } = await diverge(arranged);

  await assert.rejects(
    repository.merge({ source: 'beside', into: 'main', message: 'm', expectedOid: base }),
    (error) => error instanceof ReferenceChangedError && error.reference === 'refs/heads/main',
  );
});

test('a change of a file that cannot be made names it', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  await diverge(arranged);
  const commit = (action: { type: 'create' | 'update'; path: string; content: string }) =>
    repository.commit({ branch: 'main', message: 'm', actions: [action] });

  await assert.rejects(
    commit({ type: 'create', path: 'a', content: '' }),
    (error) => error instanceof FileChangeError && error.path === 'a' && error.reason === 'file exists',
  );
  await assert.rejects(
    commit({ type: 'create', path: 'sub/.git/config', content: '' }),
    (error) =>
      error instanceof FileChangeError && error.path === 'sub/.git/config' && error.reason === 'invalid path',
  );
  await assert.rejects(
    commit({ type: 'update', path: 'none', content: '' }),
    (error) => error instanceof FileChangeError && error.path === 'none' && error.reason === 'no file',
  );
});

test('what a hook prints reaches the caller', async () => {
  await using arranged = await arrange();
  const { gitaly, repository } = arranged;
  await repository.commit({ branch: 'main', message: 'm', files: { a: 'a' } });
  const hooks = join(gitaly.storagePath(), 'a.git/custom_hooks');
  mkdirSync(hooks);
  writeFileSync(join(hooks, 'pre-receive'), '#!/bin/sh\necho no more commits >&2\nexit 1\n');
  chmodSync(join(hooks, 'pre-receive'), 0o755);

  await assert.rejects(
    repository.commit({ branch: 'main', message: 'm', files: { a: 'b' } }),
    (error) => error instanceof HookRejectedError && error.stderr === 'no more commits\n',
  );
});

test('a repository is created once, and removed', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  await assert.rejects(repository.create(), { code: 'ALREADY_EXISTS' });
  assert.equal(await repository.exists(), true);

  await repository.remove();

  assert.equal(await repository.exists(), false);
});

test('an aborted call fails, and a loop that is left ends its call', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  await diverge(arranged);
  await assert.rejects(repository.readFile('main', 'a', { signal: AbortSignal.abort() }), {
    code: 'CANCELLED',
  });

  for await (const { subject } of repository.log('main')) {
    assert.equal(subject, 'mine');
    break;
  }
});

// It threw, although its type says undefined.
test('a repository whose HEAD is detached has no default branch', async () => {
  await using arranged = await arrange();
  const { git, gitaly, repository } = arranged;
  assert.equal(await repository.defaultBranch(), undefined, 'it is empty');
  const id = await repository.commit({ branch: 'main', message: 'one', files: { a: 'a' } });
  assert.equal(await repository.defaultBranch(), 'main');

  detachHead(join(gitaly.storagePath(), 'a.git'));

  assert.equal(await repository.defaultBranch(), undefined);
  assert.equal((await repository.findCommit('HEAD'))?.id, id);
  assert.equal(git('rev-parse', 'HEAD'), id);
});

// The list threw, and so did toISOString() of the dates.
test('a commit whose date git cannot read is in the lists, with the date that git shows', async () => {
  await using arranged = await arrange();
  const { git, gitaly, repository } = arranged;
  await repository.commit({ branch: 'main', message: 'one', files: { a: 'a' } });
  addOddDates(join(gitaly.storagePath(), 'a.git'));
  const shown = git('log', '-1', '--format=%cI', 'odd').replace(/\+00:00$|Z$/, '.000Z');

  const branches = await Array.fromAsync(repository.branches());
  const tags = await Array.fromAsync(repository.tags());
  const [commit] = await Array.fromAsync(repository.log('odd'));

  assert.deepEqual(
    branches.map(({ name }) => name),
    ['main', 'odd'],
  );
  assert.equal(branches[1]?.commit.committer.date.toISOString(), shown);
  assert.equal(commit?.author.date.toISOString(), shown);
  assert.equal(tags[0]?.tagger?.date.toISOString(), shown);
});

test('the end of a repository is returned as a date, and can be removed', async () => {
  await using arranged = await arrange();
  const { repository } = arranged;
  const seconds = 3600;
  const before = Date.now();

  const end = await repository.expire(seconds);

  assert.ok(end instanceof Date);
  // The server rounds to seconds.
  const [earliest, latest] = [before - 1000, Date.now() + 1000].map((ms) => ms + seconds * 1000);
  assert.ok(end.getTime() >= Number(earliest) && end.getTime() <= Number(latest), end.toISOString());
  assert.equal(await repository.expire(undefined), undefined);
});
