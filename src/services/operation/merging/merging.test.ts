import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  changeLeftovers,
  createFromStream,
  MAIN,
  REPOSITORY,
  TIMESTAMP,
  USER_IN_TOKYO,
  writeScript,
} from '#testkit/clients/operation-fixture';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { startVotingServer } from '#testkit/servers/voting-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';

/** Returns `lines` numbered lines, with the given ones replaced. */
function text(lines: number, changed: Readonly<Record<number, string>> = {}): string {
  return Array.from({ length: lines }, (_, index) => `${changed[index] ?? `line ${index}`}\n`).join('');
}

interface Commit {
  readonly branch: string;
  readonly from?: string;
  readonly message?: Buffer;
  readonly encoding?: string;
  readonly author?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly moves?: Readonly<Record<string, string>>;
}

/** Returns a history for git fast-import; commits are a minute apart. */
function importStream(commits: readonly Commit[]): Buffer {
  const parts: Buffer[] = [];
  const say = (line: string | Buffer): void => void parts.push(Buffer.from(line), Buffer.from('\n'));
  for (const [
    index,
    { branch, from, message, encoding, author = 'Ann <a@x>', files = {}, moves = {} },
  ] of commits.entries()) {
    const date = `${1_600_000_000 + 60 * index} +0200`;
    const body = message ?? Buffer.from(`${branch} ${index}\n\nbody\n`);
    say(`commit refs/heads/${branch}\nauthor ${author} ${date}\ncommitter Cal <c@x> ${date}`);
    if (encoding !== undefined) say(`encoding ${encoding}`);
    say(`data ${body.length}`);
    say(body);
    if (from !== undefined) say(`from refs/heads/${from}`);
    for (const [source, target] of Object.entries(moves)) say(`R ${source} ${target}`);
    for (const [path, content] of Object.entries(files))
      say(`M 100644 inline ${path}\ndata ${Buffer.byteLength(content)}\n${content}`);
  }
  return Buffer.concat(parts);
}

/** Two branches whose changes go together only line by line. */
const DIVERGED: readonly Commit[] = [
  { branch: 'main', files: { a: text(30), b: 'b\n' } },
  { branch: 'topic', from: 'main', files: { a: text(30, { 3: 'topic' }) } },
  { branch: 'main', files: { a: text(30, { 20: 'main' }), b: 'more\n' } },
];

/** Returns the files that a failed change may have left. */
async function remains(
  gitaly: TestGitaly,
  path: string,
): Promise<{ main: string; objects: string; left: string[] }> {
  return {
    main: await runGit(['-C', path, 'rev-parse', 'main']),
    objects: await runGit(['-C', path, 'cat-file', '--batch-all-objects', '--batch-check']),
    left: changeLeftovers(gitaly, path),
  };
}

async function untilSame<T>(expected: T, look: () => Promise<T>): Promise<void> {
  await until(async () => isDeepStrictEqual(await look(), expected)).catch(() => {}); // compared below
  assert.deepEqual(await look(), expected);
}

const mergeRequest = (commitId: string) => ({
  repository: REPOSITORY,
  user: USER_IN_TOKYO,
  branch: MAIN,
  commitId,
  message: Buffer.from('Merge topic'),
  timestamp: TIMESTAMP,
});

const repository = { storageName: 'default', relativePath: 'r.git' };
const HISTORY = `commit refs/heads/main
mark :1
author Old <old@x> 1600000000 +0000
committer Old <old@x> 1600000000 +0000
data 0
M 100644 inline .mailmap
data 26
New <new@x> Old <old@x>
#
M 100644 inline a
data 0
commit refs/heads/topic
author Old <old@x> 1600000001 +0000
committer Old <old@x> 1600000001 +0000
data 5
topic
from :1
M 100644 inline b
data 0
commit refs/heads/main
committer M <m@x> 1600000002 +0000
data 4
main
from :1
M 100644 inline c
data 0
`;

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a merge in a ${objectFormat} repository is visible after the second request`, async () => {
    await using gitaly = await startGitaly();
    const path = createFromStream(gitaly, importStream(DIVERGED), objectFormat);
    const topic = await runGit(['-C', path, 'rev-parse', 'topic']);
    const before = await remains(gitaly, path);
    const seen: string[] = [];

    async function* requests() {
      yield mergeRequest(topic);
      await until(() => seen.length > 0);
      yield { apply: true };
    }
    for await (const { commitId, branchUpdate } of gitaly.connection.operation.userMergeBranch(requests())) {
      if (branchUpdate === undefined) assert.equal((await remains(gitaly, path)).objects, before.objects);
      seen.push(branchUpdate?.commitId ?? commitId);
    }

    const { main, left } = await remains(gitaly, path);
    assert.deepEqual(seen, [main, main]);
    assert.deepEqual(left, []);
    assert.equal(
      await runGit(['-C', path, 'show', 'main:a']),
      text(30, { 3: 'topic', 20: 'main' }).trimEnd(),
    );
    assert.equal(await runGit(['-C', path, 'log', '-1', '--format=%P', 'main']), `${before.main} ${topic}`);
    assert.equal(await runGit(['-C', path, 'fsck', '--strict', '--no-dangling']), '');
  });
}

test('a client that leaves between the two steps of a merge leaves nothing behind', async () => {
  await using gitaly = await startGitaly();
  const path = createFromStream(gitaly, importStream(DIVERGED));
  const topic = await runGit(['-C', path, 'rev-parse', 'topic']);
  const before = await remains(gitaly, path);

  async function* requests() {
    yield mergeRequest(topic);
    await new Promise(() => {});
  }
  for await (const { commitId } of gitaly.connection.operation.userMergeBranch(requests())) {
    assert.notEqual(commitId, '');
    break;
  }

  await untilSame(before, () => remains(gitaly, path));
});

test('a script sees the objects of a merge in a quarantine, and may refuse them', async () => {
  await using gitaly = await startGitaly({ customHooks: true });
  const path = createFromStream(gitaly, importStream(DIVERGED));
  const topic = await runGit(['-C', path, 'rev-parse', 'topic']);
  const before = await remains(gitaly, path);
  const seen = join(gitaly.directory, 'seen');
  writeScript(
    join(gitaly.directory, 'custom_hooks/pre-receive.d/x'),
    `read old new name; git cat-file -t $new >${seen}; exit 1`,
  );

  const call = gitaly.connection.operation.userMergeBranch([mergeRequest(topic), { apply: true }]);
  await assert.rejects(Array.fromAsync(call), { code: 'PERMISSION_DENIED' });

  assert.equal(readFileSync(seen, 'utf8'), 'commit\n');
  await untilSame(before, () => remains(gitaly, path));
});

test('of several merges into a branch at once one wins, the others are told', async () => {
  await using gitaly = await startGitaly();
  const path = createFromStream(gitaly, importStream(DIVERGED));
  const topic = await runGit(['-C', path, 'rev-parse', 'topic']);
  let merged = 0;

  async function* requests() {
    yield mergeRequest(topic);
    await until(() => merged >= 4);
    yield { apply: true };
  }
  const outcomes = await Promise.allSettled(
    [1, 2, 3, 4].map(async () => {
      for await (const { branchUpdate } of gitaly.connection.operation.userMergeBranch(requests())) {
        if (branchUpdate === undefined) merged++;
        else return;
      }
    }),
  );

  const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
  assert.equal(refused.length, 3);
  for (const error of refused) assert.match(String(error.message), /^reference update: /);
  assert.equal(refused[0]?.code, 'FAILED_PRECONDITION');
  assert.equal(await runGit(['-C', path, 'rev-list', '--count', '--merges', 'main']), '1');
  assert.deepEqual((await remains(gitaly, path)).left, []);
});

/**
 * Returns commits of all kinds that a rebase transfers: simple ones, and ones that apply to main
 * only line by line or with a rename.
 */
function longHistory(): Commit[] {
  const latin1 = {
    message: Buffer.from('gr\xfcn\n', 'latin1'),
    encoding: 'ISO-8859-1',
    author: 'J\u00f6rg <j@x>',
  };
  const commits: Commit[] = [
    { branch: 'main', files: { a: text(60), 'dir/b': text(20), c: 'c\n' } },
    { branch: 'topic', from: 'main', files: { 'new/0': '0\n' } },
  ];
  for (let number = 1; number < 20; number++) {
    const files: Record<string, string> =
      number % 3 === 0
        ? { 'dir/b': text(20, { 3: `topic ${number}` }) }
        : { [`new/${number}`]: `${number}\n` };
    commits.push({ branch: 'topic', files });
  }
  commits.push({
    branch: 'topic',
    files: { long: 'long\n' },
    message: Buffer.from(`long\n\n${'x'.repeat(50)}\n`.repeat(500)),
  });
  commits.push({ branch: 'topic', message: Buffer.from('empty\n') });
  commits.push({ branch: 'topic', files: { latin: 'latin\n' }, ...latin1, author: 'Ann <a@x>' });
  commits.push({
    branch: 'main',
    files: { a: text(60, { 50: 'main' }), c: 'main\n' },
    moves: { 'dir/b': 'dir/moved' },
  });
  return commits;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a rebase in a ${objectFormat} repository ends as that of git`, async () => {
    await using gitaly = await startGitaly();
    const path = createFromStream(gitaly, importStream(longHistory()), objectFormat);
    const topic = await runGit(['-C', path, 'rev-parse', 'topic']);

    const { commitId } = await gitaly.connection.operation.userRebaseToRef({
      repository: REPOSITORY,
      user: USER_IN_TOKYO,
      sourceSha: topic,
      targetRef: Buffer.from('refs/merge-requests/1/merge'),
      firstParentRef: Buffer.from('refs/heads/main'),
      timestamp: TIMESTAMP,
    });

    const worktree = join(gitaly.directory, 'worktree');
    await runGit(['-C', path, 'worktree', 'add', '--quiet', '--detach', worktree, 'topic']);
    await runGit(['-C', worktree, 'rebase', '--quiet', '--empty=drop', 'main']);
    const expected = await runGit(['-C', worktree, 'rev-parse', 'HEAD']);
    const log = (oid: string) =>
      runGit(['-C', path, 'log', '--format=%T %an <%ae> %ad%n%B', '--date=raw', `main..${oid}`]);
    assert.equal(await log(commitId), await log(expected));
    assert.equal(
      await runGit(['-C', path, 'log', '-1', '--format=%cn %ce %cd', '--date=raw', commitId]),
      'Jane jane@x 1700000000 +0900',
    );
    assert.equal(await runGit(['-C', path, 'fsck', '--strict', '--no-dangling']), '');
  });
}

test('text in an encoding that is not converted stays as it is in a rebase', async () => {
  await using gitaly = await startGitaly();
  const japanese = Buffer.from('93fa967b8cea0a', 'hex');
  const path = createFromStream(
    gitaly,
    importStream([
      { branch: 'main', files: { a: 'a\n' } },
      { branch: 'topic', from: 'main', files: { b: 'b\n' }, message: japanese, encoding: 'Shift_JIS' },
      { branch: 'main', files: { c: 'c\n' } },
    ]),
  );

  const { commitId } = await gitaly.connection.operation.userRebaseToRef({
    repository: REPOSITORY,
    user: USER_IN_TOKYO,
    sourceSha: 'topic',
    targetRef: Buffer.from('refs/merge-requests/1/merge'),
    firstParentRef: MAIN,
    timestamp: TIMESTAMP,
  });

  assert.equal(await runGit(['-C', path, 'log', '-1', '--format=%s', commitId]), '\u65e5\u672c\u8a9e');
});

test('the nodes of a cluster agree on a squashed commit before it is in the repository', async () => {
  await using gitaly = await startGitaly();
  const path = createFromStream(gitaly, importStream(DIVERGED));
  await using cluster = await startVotingServer(gitaly.address);
  const people = {
    user: USER_IN_TOKYO,
    author: USER_IN_TOKYO,
    commitMessage: Buffer.from('squashed'),
    timestamp: TIMESTAMP,
  };
  const request = { repository: REPOSITORY, startSha: 'main', endSha: 'topic', ...people };
  const before = await remains(gitaly, path);

  cluster.decide = () => (cluster.votes.length === 2 ? 'ABORT' : 'COMMIT');
  const lost = cluster.connection.operation.userSquash(request, { metadata: cluster.metadata() });
  await assert.rejects(lost, { code: 'ABORTED' });
  assert.deepEqual(await remains(gitaly, path), before);
  cluster.decide = () => 'COMMIT';
  const { squashSha } = await cluster.connection.operation.userSquash(request, {
    metadata: cluster.metadata(),
  });

  const hash = createHash('sha1').update(squashSha).digest('hex');
  assert.deepEqual(
    cluster.votes.slice(2).map((vote) => [vote.phase, vote.hash]),
    ['PREPARING_PHASE', 'PREPARED_PHASE', 'COMMITTED_PHASE'].map((phase) => [phase, hash]),
  );
  assert.equal(await runGit(['-C', path, 'log', '-1', '--format=%P', squashSha]), before.main);
});

test('a client that leaves in the middle of its patches leaves no working tree behind', async () => {
  await using gitaly = await startGitaly();
  const path = createFromStream(gitaly, importStream(DIVERGED));
  const before = await remains(gitaly, path);
  const patch = await runGit(['-C', path, 'format-patch', '--stdout', 'topic~1..topic']);
  const leave = new AbortController();

  async function* requests() {
    const header = { repository: REPOSITORY, user: USER_IN_TOKYO, targetBranch: MAIN, timestamp: TIMESTAMP };
    yield { userApplyPatchRequestPayload: { case: 'header' as const, value: header } };
    yield {
      userApplyPatchRequestPayload: { case: 'patches' as const, value: Buffer.from(patch.slice(0, 200)) },
    };
    await until(() => existsSync(join(path, 'worktrees')));
    leave.abort();
  }
  await assert.rejects(gitaly.connection.operation.userApplyPatch(requests(), { signal: leave.signal }), {
    code: 'CANCELLED',
  });

  // The client receives the error at once; the server has to clean up first.
  await until(() => gitaly.log.some((line) => line['grpc.method'] === 'UserApplyPatch'));
  await untilSame(before, () => remains(gitaly, path));
});

test('patches of many megabytes are applied as they come', async () => {
  await using gitaly = await startGitaly();
  const path = createFromStream(
    gitaly,
    importStream([
      { branch: 'main', files: { a: 'a\n' } },
      { branch: 'topic', from: 'main', files: { big: 'a line of some length\n'.repeat(200_000) } },
    ]),
  );
  const patch = Buffer.from(`${await runGit(['-C', path, 'format-patch', '--stdout', 'main..topic'])}\n`);

  async function* requests() {
    const header = { repository: REPOSITORY, user: USER_IN_TOKYO, targetBranch: MAIN, timestamp: TIMESTAMP };
    yield { userApplyPatchRequestPayload: { case: 'header' as const, value: header } };
    for (let at = 0; at < patch.length; at += 100_000) {
      yield {
        userApplyPatchRequestPayload: { case: 'patches' as const, value: patch.subarray(at, at + 100_000) },
      };
    }
  }
  const { branchUpdate } = await gitaly.connection.operation.userApplyPatch(requests());

  assert.equal(branchUpdate?.commitId, await runGit(['-C', path, 'rev-parse', 'main']));
  assert.equal(await runGit(['-C', path, 'diff', 'main', 'topic']), '');
  assert.deepEqual((await remains(gitaly, path)).left, []);
});

for (const [flag, author] of [
  ['true', 'New <new@x>'],
  ['false', 'Old <old@x>'],
] as const) {
  test(`picked and rebased commits have the author ${author} with mailmap_options ${flag}`, async () => {
    await using gitaly = await startGitaly();
    const path = initServed(gitaly, 'r.git');
    gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], HISTORY);
    const topic = gitOutput(path, ['rev-parse', 'topic']);
    const { operation } = gitaly.connection;
    const options = { metadata: { 'gitaly-feature-mailmap-options': flag } };
    const authorOf = (revision: string) => gitOutput(path, ['log', '-1', '--format=%an <%ae>', revision]);

    const rebased = await operation.userRebaseToRef(
      {
        repository,
        user: USER,
        sourceSha: topic,
        firstParentRef: Buffer.from('refs/heads/main'),
        targetRef: Buffer.from('refs/merge-requests/1/merge'),
      },
      options,
    );
    const picked = await operation.userCherryPick(
      {
        repository,
        user: USER,
        commit: { id: topic },
        branchName: Buffer.from('main'),
        message: Buffer.from('picked'),
      },
      options,
    );

    assert.equal(authorOf(rebased.commitId), author);
    assert.equal(authorOf(picked.branchUpdate?.commitId ?? ''), author);
  });
}
