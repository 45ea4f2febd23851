import type { RepositoryKey } from '../model/repository-key.ts';

/** Log fields of a repository, as in Gitaly. */
export function repositoryFields({ relativePath, virtualStorage }: RepositoryKey): Record<string, string> {
  return { virtual_storage: virtualStorage, relative_path: relativePath };
}
