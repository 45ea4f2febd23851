import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitalyServers } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'p', glProjectPath: 'g/p' };

const file = (third: string): string => `M 100644 inline dir/a\ndata ${third.length + 5}\n1\n2\n${third}\n\n`;
const commit = (branch: string, from: string, content: string): string =>
  `commit refs/heads/${branch}\ncommitter C <c@x> 1600000000 +0000\ndata 7\nchange\n\n${from}${content}`;
const HISTORY =
  commit('base', '', file('3')) +
  commit('ours', 'from refs/heads/base\n', `${file('ours')}M 100644 inline only-ours\ndata 2\no\n\n`) +
  commit('theirs', 'from refs/heads/base\n', `${file('theirs')}M 100644 inline only-theirs\ndata 2\nt\n\n`);

test('ResolveConflicts makes the merge that git makes with the same resolution', async () => {
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=base', path]);
  const git = (...args: string[]): Promise<string> => runGit(['-C', path, ...args]);
  await runGit(['-C', path, 'fast-import', '--quiet'], { input: HISTORY });
  const [ours = '', theirs = ''] = (await git('rev-parse', 'ours', 'theirs')).split('\n');
  const worktree = join(gitaly.directory, 'worktree');
  await git('worktree', 'add', '--quiet', '--detach', worktree, 'ours');
  const inWorktree = (...args: string[]): Promise<string> =>
    runGit(['-C', worktree, '-c', 'user.name=Jane', '-c', 'user.email=jane@x', ...args]);
  await assert.rejects(inWorktree('merge', '--quiet', 'theirs'));
  writeFileSync(join(worktree, 'dir/a'), '1\n2\nboth\n');
  await inWorktree('commit', '--quiet', '--all', '-m', 'resolve');
  const expected = (await inWorktree('rev-parse', 'HEAD^{tree}')).trim();
  const resolve = (content: string) => {
    const value = {
      repository,
      targetRepository: repository,
      user: USER,
      sourceBranch: Buffer.from('ours'),
      targetBranch: Buffer.from('theirs'),
      ourCommitOid: ours,
      theirCommitOid: theirs,
      commitMessage: Buffer.from('resolve'),
      timestamp: { seconds: 1_700_000_000n },
    };
    const files = Buffer.from(JSON.stringify([{ old_path: 'dir/a', new_path: 'dir/a', content }]));
    return gitaly.connection.conflicts.resolveConflicts(
      [
        { resolveConflictsRequestPayload: { case: 'header', value } },
        { resolveConflictsRequestPayload: { case: 'filesJson', value: files } },
      ],
      { metadata: gitalyServers({ default: { address: gitaly.address, token: '' } }) },
    );
  };

  assert.equal((await resolve('1\n2\nboth\n')).resolutionError, '');

  assert.equal(
    await git('log', '-1', '--format=%T|%P|%an <%ae>|%ad|%s', '--date=raw', 'ours'),
    `${expected}|${ours} ${theirs}|Jane <jane@x>|1700000000 +0000|resolve`,
  );
  assert.equal(await git('rev-parse', 'theirs'), theirs);
});
