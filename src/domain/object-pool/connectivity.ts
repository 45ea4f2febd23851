import { symlink } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

const SUBDIRECTORIES = [
  'pack',
  ...Array.from({ length: 256 }, (_, number) => number.toString(16).padStart(2, '0')),
];

/**
 * Checks that a repository has all objects that its references need without its alternates, which
 * stay in place meanwhile: git reads the objects through a directory of links, and also ignores the
 * commit-graph, which knows commits that are gone.
 *
 * @throws {GitalyError} INTERNAL `git connectivity error while disconnected: exit status 128`.
 */
export async function requireOwnObjects(repository: Repository, signal: AbortSignal): Promise<void> {
  await using view = await createTempDirectory(repository.storage, 'repo');
  for (const name of SUBDIRECTORIES)
    await symlink(`${repository.path}/objects/${name}`, `${view.path}/${name}`);

  const alone = repository.withObjectDirectories({
    objectDirectory: view.path,
    alternateObjectDirectories: [],
  });
  const options = ['--objects', '--all', '--quiet'].map(flag);
  await alone.run(gitCommand('rev-list', { options }), { signal }).catch((error: unknown) => {
    if (!(error instanceof GitExitError)) throw error;
    const message = `git connectivity error while disconnected: ${error.message}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}
