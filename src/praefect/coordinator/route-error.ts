import { GitalyError, wrap } from '#base/gitaly-error';
import { type RepositoryKey, repositoryNotFound } from '../model/repository-key.ts';

/**
 * Returns the function that converts an error: an unknown repository is reported as by a Gitaly,
 * any other error gets a prefix.
 */
export function routeError(repository: RepositoryKey, prefix: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof GitalyError && error.message === 'repository not found')
      throw repositoryNotFound(repository);
    // Clients search for this text.
    if (error instanceof GitalyError && error.message === 'repository is in read-only mode') throw error;
    throw wrap(error, prefix);
  };
}
