import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { RepositoryPath } from './repository-path.ts';

/** The repository message of a call. */
export type RepositoryInit = MessageInitShape<typeof RepositorySchema>;

/** Maps the path of a URL to a repository of Gitaly; `undefined` if there is none. */
export interface RepositoryMapping {
  repositoryAt(path: RepositoryPath): RepositoryInit | undefined;
}

/** Maps the path to the same relative path in one storage. */
export function storageMapping(storageName: string): RepositoryMapping {
  return {
    repositoryAt: (path) => ({
      storageName,
      relativePath: path,
      glRepository: path, // hooks refuse a push without one; outside GitLab any name works
      glProjectPath: path.slice(0, -'.git'.length),
    }),
  };
}
