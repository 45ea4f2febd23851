import { GitalyError, wrap } from '#base/gitaly-error';
import { type RepositoryKey, repositoryNotFound } from '../model/repository-key.ts';

/** An unknown repository is reported as a Gitaly does, everything else with its place. */
export function routeError(repository: RepositoryKey, prefix: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof GitalyError && error.message === 'repository not found')
      throw repositoryNotFound(repository);
    // Clients search for this text.
    if (error instanceof GitalyError && error.message === 'repository is in read-only mode') throw error;
    throw wrap(error, prefix);
  };
}
