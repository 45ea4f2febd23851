import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const REPOSITORY = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };

const lines = (changed: Readonly<Record<number, string>>): string =>
  Array.from({ length: 20 }, (_, line) => `${changed[line] ?? line}\n`).join('');

/**
 * A history for git fast-import. On `topic` are a change, a commit that is empty, one that upstream
 * has in a commit with more changes, one that upstream has as it is, and another change.
 */
const HISTORY = [
  commit('main', 'base', { a: lines({}), b: lines({}), c: lines({}) }),
  commit('topic', 'first', { a: lines({ 3: 'topic' }) }, 'main'),
  commit('topic', 'empty from the start', {}),
  commit('topic', 'part of an upstream commit', { b: lines({ 5: 'both' }) }),
  commit('topic', 'upstream as it is', { c: lines({ 7: 'same' }) }),
  commit('topic', 'last', { a: lines({ 3: 'topic', 15: 'topic' }) }),
  commit('main', 'two changes', { a: lines({ 10: 'main' }), b: lines({ 5: 'both' }) }),
  commit('main', 'the same change', { c: lines({ 7: 'same' }) }),
].join('');

function commit(branch: string, subject: string, files: Readonly<Record<string, string>>, from?: string) {
  const head = `commit refs/heads/${branch}\ncommitter Cal <c@x> 1600000000 +0000\n`;
  const changes = Object.entries(files).map(
    ([path, text]) => `M 100644 inline ${path}\ndata ${text.length}\n${text}\n`,
  );
  const start = from === undefined ? '' : `from refs/heads/${from}\n`;
  return `${head}data ${subject.length}\n${subject}\n${start}${changes.join('')}\n`;
}

test('a rebase leaves out what upstream has, and keeps what was empty before, as git does', async () => {
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), REPOSITORY.relativePath);
  const clone = join(gitaly.directory, 'clone');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  await runGit(['-C', path, 'fast-import', '--quiet'], { input: HISTORY });
  await runGit(['clone', '--quiet', '--branch', 'topic', path, clone]);
  await runGit(['-C', clone, 'rebase', '--quiet', 'origin/main']);
  const branchSha = await runGit(['-C', path, 'rev-parse', 'topic']);

  const requests = [
    {
      userRebaseConfirmableRequestPayload: {
        case: 'header',
        value: {
          repository: REPOSITORY,
          user: USER,
          branch: Buffer.from('topic'),
          branchSha,
          remoteRepository: REPOSITORY,
          remoteBranch: Buffer.from('main'),
        },
      },
    },
    { userRebaseConfirmableRequestPayload: { case: 'apply', value: true } },
  ] as const;
  const responses = await Array.fromAsync(
    gitaly.connection.operation.userRebaseConfirmable(requests, { metadata: serversOf(gitaly.address) }),
  );

  assert.equal(responses.length, 2);
  const log = (directory: string, format: string, range: string): Promise<string> =>
    runGit(['-C', directory, 'log', `--format=${format}`, range]);
  assert.equal(await log(path, '%s', 'main..topic'), 'last\nempty from the start\nfirst');
  const format = '%s %T %an %at';
  assert.equal(await log(path, format, 'main..topic'), await log(clone, format, 'origin/main..topic'));
});

test('a rebase of a merge request that git has to merge leaves no directory behind', async () => {
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), REPOSITORY.relativePath);
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  const history = [
    commit('main', 'base', { a: lines({}) }),
    commit('topic', 'theirs', { a: lines({ 3: 'topic' }) }, 'main'),
    `${commit('main', 'renamed', {}).trimEnd()}\nR a b\n\n`,
  ];
  await runGit(['-C', path, 'fast-import', '--quiet'], { input: history.join('') });

  const { commitId } = await gitaly.connection.operation.userRebaseToRef({
    ...{ repository: REPOSITORY, user: USER, sourceSha: await runGit(['-C', path, 'rev-parse', 'topic']) },
    targetRef: Buffer.from('refs/merge-requests/1/train'),
    firstParentRef: Buffer.from('refs/heads/main'),
  });

  assert.equal(await runGit(['-C', path, 'show', `${commitId}:b`]), lines({ 3: 'topic' }).trim());
  const left = readdirSync(`${path}/objects`).filter((name) => name.startsWith('merge-'));
  assert.deepEqual(left, []);
});

function serversOf(address: string): Record<string, string> {
  const servers = { default: { address, token: '' } };
  return { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') };
}
