import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { RepositoryPath } from './repository-path.ts';

/** The repository message of a call. */
export type RepositoryInit = MessageInitShape<typeof RepositorySchema>;

/** Says which repository of Gitaly a path of a URL means; `undefined` when it means none. */
export interface RepositoryMapping {
  repositoryAt(path: RepositoryPath): RepositoryInit | undefined;
}

/** The path is the relative path in one storage. */
export function storageMapping(storageName: string): RepositoryMapping {
  return {
    repositoryAt: (path) => ({
      storageName,
      relativePath: path,
      glRepository: path, // hooks refuse a push without one; outside of GitLab any name will do
      glProjectPath: path.slice(0, -'.git'.length),
    }),
  };
}
