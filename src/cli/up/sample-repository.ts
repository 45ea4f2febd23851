import { codeOf } from '#base/gitaly-error';
import { type Connection, commitFiles } from '#client/index';

interface RepositoryName {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
}

const AUTHOR = {
  glId: 'user-1',
  glUsername: 'gitaly-ts',
  name: Buffer.from('gitaly-ts'),
  email: Buffer.from('gitaly-ts@localhost'),
};

/**
 * Creates a repository with one commit, a README, unless a repository with a branch exists, or one
 * that cannot be read.
 *
 * @throws {CallError} when a call fails.
 */
export async function makeSampleRepository(
  connection: Connection,
  repository: RepositoryName,
  readme: string,
): Promise<void> {
  try {
    await connection.repository.createRepository({ repository });
  } catch (error) {
    if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
    if (!(await isEmpty(connection, repository))) return;
  }
  const [branchName, commitMessage] = [Buffer.from('main'), Buffer.from('Say hello\n')];
  const commit = { repository, user: AUTHOR, branchName, commitMessage };
  await commitFiles(connection, commit, [{ type: 'create', path: 'README.md', content: readme }]);
}

/** Reports whether a repository has no branch. A damaged or lost one must not prevent a start. */
async function isEmpty(connection: Connection, repository: RepositoryName): Promise<boolean> {
  try {
    return !(await connection.repository.hasLocalBranches({ repository })).value;
  } catch {
    return false;
  }
}
