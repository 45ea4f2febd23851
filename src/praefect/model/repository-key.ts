import { GitalyError } from '#base/gitaly-error';

/** A repository as clients name it. */
export interface RepositoryKey {
  readonly virtualStorage: string;
  readonly relativePath: string;
}

/** Returns the error of a repository that is not in the database. */
export function repositoryNotFound({ relativePath, virtualStorage }: RepositoryKey): GitalyError {
  return new GitalyError('NOT_FOUND', 'repository not found', {
    metadata: { storage_name: virtualStorage, relative_path: relativePath },
  });
}
