import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly } from '#testkit/start-gitaly';

const ROOT = join(import.meta.dirname, '../..');
const REPOSITORY = { storageName: 'default', relativePath: 'x.git' };

async function start(git: Readonly<Record<string, unknown>> = { explain: true, in_process: false }) {
  const gitaly = await startGitaly({ config: { git }, token: 'secret' });
  const path = initServed(gitaly, 'x.git', { commits: 2 });
  const program = [...programCommand('gitaly-ts'), 'explain'];
  return Object.assign(gitaly, {
    path,
    explain: (args: readonly string[], input = ''): Promise<RunResult> =>
      run(process.execPath, [...program, gitaly.address, ...args], {
        cwd: ROOT,
        env: { GITALY_TOKEN: 'secret' },
        input,
      }),
  });
}

const COUNT = JSON.stringify({ repository: REPOSITORY, revision: 'text:main' });

test('explain prints the commands of a call with their cost', async () => {
  await using gitaly = await start();

  const { code, stdout, stderr } = await gitaly.explain(['CountCommits', COUNT]);

  assert.deepEqual([code, stderr], [0, '']);
  assert.match(
    stdout,
    /^\/gitaly\.CommitService\/CountCommits {2}OK\n1 response in [\d.]+ms, [\d.]+ms of it in the server\n\n/,
  );
  assert.match(stdout, /\nWALL +CPU +EXIT +COMMAND\n/);
  assert.match(stdout, /\n[\d.]+ms +[\d.]+ms +0 +git .*rev-list .*--count.* main/);
  assert.match(stdout, /\ncommand\.count +\d+\n/);
});

test('explain reads the request from standard input, and prints JSON', async () => {
  await using gitaly = await start();
  const request = JSON.stringify({ repository: REPOSITORY, revisions: ['main'] });

  const { code, stdout } = await gitaly.explain(['CommitService/ListCommits', '-', '--json'], request);

  const { explanation, responses } = JSON.parse(stdout);
  assert.deepEqual([code, responses], [0, 1], stdout);
  assert.equal(explanation.commands[0].exit_code, 0);
  assert.equal(gitOutput(gitaly.path, ['rev-list', '--count', 'main']), '2');
});

test('a stream of requests is a list, and metadata is sent', async () => {
  await using gitaly = await start();
  const user = { glId: 'user-1', glUsername: 'u', name: 'text:U', email: 'text:u@x' };
  const requests = JSON.stringify([
    { header: { repository: REPOSITORY, user, branchName: 'text:main', commitMessage: 'text:m' } },
    { action: { header: { action: 'CREATE', filePath: 'text:new' } } },
    { action: { content: 'text:content' } },
  ]);

  const args = ['UserCommitFiles', requests, '--metadata', 'x-gitlab-correlation-id=mine'];
  const { code, stdout } = await gitaly.explain(args);

  assert.equal(code, 0, stdout);
  assert.equal(gitOutput(gitaly.path, ['show', 'main:new']), 'content');
  assert.ok(gitaly.log.some(({ correlation_id }) => correlation_id === 'mine'));
});

test('a call that fails is explained, and its status is the exit code', async () => {
  await using gitaly = await start();
  const request = JSON.stringify({ repository: { ...REPOSITORY, relativePath: 'none.git' } });

  const { code, stdout } = await gitaly.explain(['FindAllBranches', request]);

  assert.equal(code, 1);
  assert.match(stdout, /^\/gitaly\.RefService\/FindAllBranches {2}NotFound: repository not found\n/);
  assert.match(stdout, /\nno command ran\n/);
});

test('a server that does not explain is an error with a hint', async () => {
  await using gitaly = await start({ explain: false });

  const { code, stderr } = await gitaly.explain(['CountCommits', COUNT]);

  assert.equal(code, 1);
  assert.match(stderr, /no explanation: set "explain = true" in \[git\] of the server/);
});

for (const { args, text } of [
  { args: ['FindComit', '{}'], text: /there is no method FindComit, did you mean FindCommit\?/ },
  { args: ['FindCommit', '{'], text: /the request is not JSON: / },
  { args: ['FindCommit', '{"x":1}'], text: /the request is not a FindCommitRequest: .*x/ },
  { args: ['FindCommit', '[]'], text: /FindCommit takes one request, not a list/ },
]) {
  test(`explain refuses ${args.join(' ')}`, async () => {
    const program = [...programCommand('gitaly-ts'), 'explain', 'unix:/none'];

    const { code, stdout, stderr } = await run(process.execPath, [...program, ...args], { cwd: ROOT });

    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, text);
  });
}
