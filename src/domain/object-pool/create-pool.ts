import { GitalyError, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { createRepository } from '#storage/lifecycle/create-repository';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';

/**
 * Creates an object pool with the objects, branches and tags of a repository. On the same file
 * system its files are hard links of the origin's, so that it takes no space.
 *
 * @throws {GitalyError} as {@link createRepository}; `getting source repository path: …`,
 *   `cloning to pool: …`.
 */
export async function createPool(
  storages: Storages,
  target: RepositoryTarget,
  origin: RepositoryTarget,
  { vote, signal }: { readonly vote?: Vote | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const seed = async (pool: Repository): Promise<void> => {
    const source = openOrigin(storages, origin);
    await clone(source, pool, signal);
    // The origin may be renamed or removed; its path is passed with each fetch.
    const section = value('--remove-section', 'remote.origin');
    await pool.run(gitCommand('config', { options: [section] }), { signal });
  };
  await createRepository(storages, target, { init: 'none', seed, vote, signal });
}

function openOrigin(storages: Storages, origin: RepositoryTarget): Repository {
  try {
    return storages.open(origin);
  } catch (error) {
    throw wrap(error, 'getting source repository path');
  }
}

async function clone(source: Repository, pool: Repository, signal: AbortSignal): Promise<void> {
  const command = gitCommand('clone', {
    options: ['--quiet', '--bare', '--local'].map(flag),
    args: [source.path, pool.path],
  });
  try {
    await pool.git.run(command, {
      hooks: 'disabled',
      // git cannot read the format of an empty origin.
      env: { GIT_DEFAULT_HASH: source.objectFormat },
      signal,
    });
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    const message = `cloning to pool: ${error.message}, stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  }
}
