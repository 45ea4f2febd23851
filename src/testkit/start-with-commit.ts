import { join } from 'node:path';
import { runGit } from './repositories/run-git.ts';
import { startGitaly, type TestGitaly } from './start-gitaly.ts';

/** Starts a server with the repository `a.git`, which has one commit on `main`, for a gateway. */
export async function startWithCommit(): Promise<TestGitaly> {
  const gitaly = await startGitaly();
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'a' };
  await gitaly.connection.repository.createRepository({ repository });
  const path = join(gitaly.storagePath(), 'a.git');
  const tree = await runGit(['-C', path, 'mktree'], { input: '' });
  const commit = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', commit]);
  return gitaly;
}
