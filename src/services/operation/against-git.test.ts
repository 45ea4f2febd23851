import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitalyServers } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'p', glProjectPath: 'g/p' };
const timestamp = { seconds: 1_700_000_000n };
const SUBMODULE = '1'.repeat(40);
const OTHER_COMMIT = '2'.repeat(40);

/** `topic` (two commits) and `main` (one) start at `base`, which has a submodule at `lib`. */
const HISTORY = `commit refs/heads/base
committer C <c@x> 1600000000 +0000
data 5
base
M 100644 inline dir/a
data 6
1
2
3

M 160000 ${SUBMODULE} lib

commit refs/heads/topic
committer T <t@x> 1600000001 +0100
data 6
first

from refs/heads/base
M 100644 inline dir/a
data 8
one
2
3

commit refs/heads/topic
committer T <t@x> 1600000002 +0100
data 7
second

M 100644 inline b
data 2
b

commit refs/heads/main
committer M <m@x> 1600000003 +0000
data 5
main

from refs/heads/base
M 100644 inline dir/a
data 10
1
2
three

`;

/** Starts a server with the history; `git` runs git in the repository. */
async function start() {
  const gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  const git = (...args: string[]): Promise<string> => runGit(['-C', path, ...args]);
  await runGit(['-C', path, 'fast-import', '--quiet'], { input: HISTORY });
  return { gitaly, git, path, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}

const oids = async (git: (...args: string[]) => Promise<string>, ...revisions: string[]): Promise<string[]> =>
  (await git('rev-parse', ...revisions)).split('\n');

test('UserFFBranch moves a branch to a descendant and refuses any other commit', async () => {
  await using server = await start();
  const { operation } = server.gitaly.connection;
  const [base = '', topic = '', main = ''] = await oids(server.git, 'base', 'topic', 'main');
  const forward = { repository, user: USER, branch: Buffer.from('base'), commitId: topic };

  await assert.rejects(operation.userFFBranch({ ...forward, branch: Buffer.from('main') }), {
    code: 'FAILED_PRECONDITION',
  });
  assert.deepEqual(await oids(server.git, 'main', 'base'), [main, base]);
  await assert.rejects(operation.userFFBranch({ ...forward, expectedOldOid: main }), {
    code: 'FAILED_PRECONDITION',
  });
  const { branchUpdate } = await operation.userFFBranch({ ...forward, expectedOldOid: base });

  assert.equal(branchUpdate?.commitId, topic);
  assert.deepEqual(await oids(server.git, 'base', 'main'), [topic, main]);
});

test('UserUpdateBranch moves a branch only from the commit that the caller names', async () => {
  await using server = await start();
  const { operation } = server.gitaly.connection;
  const [base = '', topic = '', main = ''] = await oids(server.git, 'base', 'topic', 'main');
  const update = { repository, user: USER, branchName: Buffer.from('main'), newrev: Buffer.from(topic) };

  await assert.rejects(operation.userUpdateBranch({ ...update, oldrev: Buffer.from(base) }), {
    code: 'FAILED_PRECONDITION',
  });
  assert.deepEqual(await oids(server.git, 'main'), [main]);
  await operation.userUpdateBranch({ ...update, oldrev: Buffer.from(main) });

  assert.deepEqual(await oids(server.git, 'main'), [topic]);
});

test('UserDeleteBranch and UserDeleteTag remove the reference that git lists, and no other', async () => {
  await using server = await start();
  const { operation } = server.gitaly.connection;
  await server.git('tag', '-m', 'a tag', 'v1', 'topic');
  await server.git('tag', 'topic', 'topic');

  await operation.userDeleteBranch({ repository, user: USER, branchName: Buffer.from('topic') });
  await operation.userDeleteTag({ repository, user: USER, tagName: Buffer.from('v1') });

  assert.equal(
    await server.git('for-each-ref', '--format=%(refname)'),
    'refs/heads/base\nrefs/heads/main\nrefs/tags/topic',
  );
  await assert.rejects(
    operation.userDeleteBranch({ repository, user: USER, branchName: Buffer.from('topic') }),
    {
      code: 'FAILED_PRECONDITION',
    },
  );
  await assert.rejects(operation.userDeleteTag({ repository, user: USER, tagName: Buffer.from('v1') }), {
    code: 'FAILED_PRECONDITION',
  });
});

test('UserUpdateSubmodule changes that entry of the tree and nothing else', async () => {
  await using server = await start();
  const { operation } = server.gitaly.connection;
  const [main = ''] = await oids(server.git, 'main');
  const update = {
    repository,
    user: USER,
    timestamp,
    branch: Buffer.from('main'),
    submodule: Buffer.from('lib'),
    commitSha: OTHER_COMMIT,
    commitMessage: Buffer.from('move lib'),
  };

  await assert.rejects(operation.userUpdateSubmodule({ ...update, submodule: Buffer.from('dir') }));
  assert.deepEqual(await oids(server.git, 'main'), [main]);
  const { branchUpdate } = await operation.userUpdateSubmodule(update);

  const [tip = ''] = await oids(server.git, 'main');
  assert.equal(branchUpdate?.commitId, tip);
  assert.equal(
    await server.git('diff-tree', '-r', main, tip),
    `:160000 160000 ${SUBMODULE} ${OTHER_COMMIT} M\tlib`,
  );
  assert.equal(
    await server.git('log', '-1', '--format=%P %an <%ae> %ad %s', '--date=raw', tip),
    `${main} Jane <jane@x> 1700000000 +0000 move lib`,
  );
});

// Gitaly takes the parent by the short name of the branch, so a tag of that name comes first.
test('UserUpdateSubmodule makes no commit whose parent is none', async () => {
  await using server = await start();
  const { operation } = server.gitaly.connection;
  const [main = ''] = await oids(server.git, 'main');
  const missing = 'a'.repeat(40);
  await server.git('-c', 'user.name=J', '-c', 'user.email=j@x', 'tag', '-m', 'v', 'main', 'base');
  await server.git('update-ref', `refs/heads/${missing}`, main);
  const [tag = ''] = await oids(server.git, 'refs/tags/main');

  for (const [branch, problem] of [
    ['main', `${tag} is not a valid 'commit' object`],
    [missing, `${missing} is not a valid object`],
  ] as const) {
    const update = {
      repository,
      user: USER,
      timestamp,
      branch: Buffer.from(branch),
      submodule: Buffer.from('lib'),
      commitSha: OTHER_COMMIT,
      commitMessage: Buffer.from('move lib'),
    };
    const git = server.git(
      'commit-tree',
      '-p',
      branch === 'main' ? tag : missing,
      '-m',
      'x',
      `${main}^{tree}`,
    );
    await assert.rejects(git, (error: Error) => error.message.includes(`fatal: ${problem}`));

    await assert.rejects(operation.userUpdateSubmodule(update), {
      code: 'INTERNAL',
      message: `submodule subcommand: creating commit commit-tree: exit status 128: fatal: ${problem}\n `,
    });
    assert.deepEqual(await oids(server.git, `refs/heads/${branch}`), [main]);
  }
});

test('UserRebaseConfirmable makes the commits of git rebase, and moves the branch when told to', async () => {
  await using server = await start();
  const [topic = '', main = ''] = await oids(server.git, 'topic', 'main');
  const worktree = join(server.gitaly.directory, 'worktree');
  await server.git('worktree', 'add', '--quiet', '--detach', worktree, 'topic');
  await runGit([
    '-C',
    worktree,
    '-c',
    'user.name=Jane',
    '-c',
    'user.email=jane@x',
    'rebase',
    '--quiet',
    'main',
  ]);
  const described = async (tip: string): Promise<string> =>
    await server.git('log', '--format=%T %an <%ae> %ad %B', '--date=raw', `main..${tip}`);
  const expected = await described((await runGit(['-C', worktree, 'rev-parse', 'HEAD'])).trim());
  await server.git('worktree', 'remove', '--force', worktree);

  assert.equal(await rebase(server.gitaly, { topic, apply: false }), 'FAILED_PRECONDITION');
  assert.deepEqual(await oids(server.git, 'topic', 'main'), [topic, main]);
  const tip = await rebase(server.gitaly, { topic, apply: true });

  assert.deepEqual(await oids(server.git, 'topic', 'main'), [tip, main]);
  assert.equal(await described(tip), expected);
  assert.equal(await server.git('log', '-1', '--format=%cn %cd', '--date=raw', tip), 'Jane 1700000000 +0000');
  rmSync(worktree, { recursive: true, force: true });
});

/** Rebases `topic` onto `main`; returns the new tip, or the code of the error. */
async function rebase(
  gitaly: TestGitaly,
  { topic, apply }: { topic: string; apply: boolean },
): Promise<string> {
  const value = {
    repository,
    user: USER,
    branch: Buffer.from('topic'),
    branchSha: topic,
    remoteRepository: repository,
    remoteBranch: Buffer.from('main'),
    timestamp,
  };
  const requests = [
    { userRebaseConfirmableRequestPayload: { case: 'header', value } },
    { userRebaseConfirmableRequestPayload: { case: 'apply', value: apply } },
  ] as const;
  const metadata = gitalyServers({ default: { address: gitaly.address, token: '' } });
  let [tip, isApplied] = ['', false];
  try {
    const answers = gitaly.connection.operation.userRebaseConfirmable(requests, { metadata });
    for await (const { userRebaseConfirmableResponsePayload: payload } of answers) {
      if (payload.case === 'rebaseSha') tip = payload.value;
      else isApplied = payload.value === true;
    }
  } catch (error) {
    return String((error as { code?: string }).code); // a CallError
  }
  assert.equal(isApplied, true);
  return tip;
}
