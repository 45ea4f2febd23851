import { GitalyError } from '#base/gitaly-error';
import { object, type Shaped, text } from '#base/shape';

/** A repository as clients name it. */
export const repositoryKey = object({ virtualStorage: text, relativePath: text });
export type RepositoryKey = Shaped<typeof repositoryKey>;

/** Returns the error of a repository that is not in the database. */
export function repositoryNotFound({ relativePath, virtualStorage }: RepositoryKey): GitalyError {
  return new GitalyError('NOT_FOUND', 'repository not found', {
    metadata: { storage_name: virtualStorage, relative_path: relativePath },
  });
}
