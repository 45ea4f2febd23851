import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

// Expectations without a comparison with git are the answers of Gitaly 19.0 with git 2.53.

const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string): Buffer => Buffer.from(text);

test('ListAllCommits lists what is stored as a commit, though git cannot read it', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 2 });
  gitOutput(
    directory,
    ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'],
    'author A <a@x> 1 +0000\n\nno tree\n',
  );

  const responses = await Array.fromAsync(gitaly.connection.commit.listAllCommits({ repository }));

  const stored = gitOutput(directory, [
    'cat-file',
    '--batch-all-objects',
    '--batch-check=%(objecttype) %(objectname)',
  ]);
  assert.deepEqual(
    responses.flatMap(({ commits }) => commits.map(({ id }) => `commit ${id}`)).sort(),
    stored.split('\n').filter((line) => line.startsWith('commit ')),
  );
});

test('an object that git cannot parse is no commit, also once its contents were read', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  const odd = gitOutput(
    directory,
    ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'],
    'author A <a@x> 1 +0000\n\nno tree\n',
  );
  writeFileSync(join(directory, 'refs/heads/odd'), `${odd}\n`);
  assert.throws(() => gitOutput(directory, ['rev-parse', '--verify', `${odd}^{commit}`]));
  const { commit, ref } = gitaly.connection;
  await Array.fromAsync(commit.listAllCommits({ repository }));

  assert.equal((await commit.findCommit({ repository, revision: bytes(odd) })).commit, undefined);
  await assert.rejects(commit.commitStats({ repository, revision: bytes(odd) }), {
    code: 'INTERNAL',
    message: 'object not found',
  });
  await assert.rejects(Array.fromAsync(ref.findAllBranches({ repository })), {
    code: 'INTERNAL',
    message: 'finding refs: sending lines: object not found',
  });
});

test('GetCommitMessages sends the messages in front of one that cannot be read', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'x.git', { commits: 2 });
  const messages: string[] = [];
  const read = async (commitIds: string[]): Promise<void> => {
    for await (const { message } of gitaly.connection.commit.getCommitMessages({ repository, commitIds })) {
      if (message.length > 0) messages.push(Buffer.from(message).toString());
    }
  };

  await assert.rejects(read(['main', 'main~1', 'main\0', 'main']), {
    code: 'INVALID_ARGUMENT',
    message: 'failed to get commit message: revision must not contain NUL bytes',
  });
  assert.deepEqual(messages, ['commit 2\n', 'commit 1\n']);
});

test('ListCommits that does not walk does not walk for a page either', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 5 });
  const expected = gitOutput(directory, ['rev-list', '--no-walk', 'main', 'main~2']).split('\n');

  for (const limit of [0, 1, 2, 3]) {
    const request = {
      repository,
      revisions: ['main', 'main~2'],
      disableWalk: true,
      paginationParams: { limit },
    };
    const responses = await Array.fromAsync(gitaly.connection.commit.listCommits(request));
    assert.deepEqual(
      responses.flatMap(({ commits }) => commits.map(({ id }) => id)),
      expected.slice(0, limit === 0 ? 2 : limit),
      `limit ${limit}`,
    );
    assert.equal(responses.at(-1)?.paginationCursor?.nextCursor, limit === 1 ? expected[0] : undefined);
  }
});

test('CountCommits counts everything when it is told to, whatever revision comes with it', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 3 });
  const expected = Number(gitOutput(directory, ['rev-list', '--count', '--all']));

  for (const revision of ['main', 'main~2', 'main~1..main', 'no-such-branch']) {
    const { count } = await gitaly.connection.commit.countCommits({
      repository,
      revision: bytes(revision),
      all: true,
    });
    assert.equal(count, expected, revision);
  }
});

test('LastCommitForPath is empty for an unknown name, and fails for one of something else', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', { commits: 1 });
  gitOutput(directory, [
    'update-ref',
    'refs/tags/blob',
    gitOutput(directory, ['hash-object', '-w', '--stdin'], 'blob'),
  ]);
  const find = (revision: string) =>
    gitaly.connection.commit.lastCommitForPath({ repository, revision: bytes(revision), path: bytes('a') });

  for (const revision of ['no-such-branch', 'main~9', 'main^2', 'main..no-such-branch']) {
    assert.equal((await find(revision)).commit, undefined, revision);
  }
  for (const revision of ['refs/tags/blob^2', 'main^{blob}', '1234567890123456789012345678901234567890']) {
    await assert.rejects(find(revision), {
      code: 'INTERNAL',
      message: 'logging last commit for path: exit status 128',
    });
  }
});

test('words with a NUL are refused before git is started', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git');
  addCommit(directory);
  const { commit } = gitaly.connection;
  const list = commit.listCommits({ repository, revisions: ['main'], author: bytes('A\0') });
  const find = commit.findCommits({ repository, revision: bytes('main'), limit: 1, messageRegex: 'x\0' });

  await assert.rejects(Array.fromAsync(list), {
    code: 'INTERNAL',
    message:
      'iterating objects: rev-list: detected null byte in command argument "--author=A\\x00", stderr: ""',
  });
  await assert.rejects(commit.countCommits({ repository, all: true, path: bytes('a\0b') }), {
    code: 'INTERNAL',
    message: 'cmd: detected null byte in command argument "a\\x00b"',
  });
  await assert.rejects(Array.fromAsync(find), {
    code: 'INTERNAL',
    message: 'error when creating git log command: detected null byte in command argument "x\\x00"',
  });
});

// These calls took git's failure for an empty result: `false`, 0 and empty lists, with status OK.
test('calls fail for a repository whose storage of references is unknown', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ commits: 2 });
  const { commit, ref, repository: repositories } = gitaly.connection;
  const path = join(gitaly.storagePath(), repository.relativePath);
  gitOutput(path, ['config', 'core.repositoryformatversion', '1']);
  appendFileSync(join(path, 'config'), '[extensions]\n\trefstorage = junk\n');
  const revision = bytes('main');

  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    refExists: () => ref.refExists({ repository, ref: bytes('refs/heads/main') }),
    commitIsAncestor: () => commit.commitIsAncestor({ repository, ancestorId: 'main', childId: 'main' }),
    countCommits: () => commit.countCommits({ repository, revision }),
    findAllCommits: () => Array.fromAsync(commit.findAllCommits({ repository, revision })),
    commitsByMessage: () => Array.fromAsync(commit.commitsByMessage({ repository, revision, query: 'c' })),
    findMergeBase: () => repositories.findMergeBase({ repository, revisions: [revision, revision] }),
    searchFilesByContent: () =>
      Array.fromAsync(repositories.searchFilesByContent({ repository, ref: revision, query: 'c' })),
    // It reported that the references are files.
    repositoryInfo: () => repositories.repositoryInfo({ repository }),
    listFiles: () => Array.fromAsync(commit.listFiles({ repository, revision })),
  };

  assert.throws(() => gitOutput(path, ['show-ref']));
  for (const [name, call] of Object.entries(calls))
    await assert.rejects(call, { message: /unknown reference backend: "junk"/ }, name);
  await assert.rejects(repositories.repositoryInfo({ repository }), {
    code: 'INTERNAL',
    message:
      'deriving repository info: checking references: reference backend: unknown reference backend: "junk"',
  });
});
