import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { RepositoryPath } from './repository-path.ts';

/** The repository message of a call. */
export type RepositoryInit = MessageInitShape<typeof RepositorySchema>;

const SUFFIX = '.git';

/** Maps the path of a URL to a repository of Gitaly; `undefined` if there is none. */
export interface RepositoryMapping {
  repositoryAt(path: RepositoryPath): RepositoryInit | undefined;
  /**
   * Maps the path to the repository that is served if there is none of {@link repositoryAt}, and
   * this one exists.
   */
  otherwiseAt?(path: RepositoryPath): RepositoryInit | undefined;
}

/**
 * Maps the path to the same relative path in one storage, and otherwise to that without `.git`: a
 * server may have a directory `dev/x`.
 */
export function storageMapping(storageName: string): RepositoryMapping {
  const at = (path: RepositoryPath, relativePath: string): RepositoryInit => ({
    storageName,
    relativePath,
    glRepository: path, // hooks refuse a push without one; outside GitLab any name works
    glProjectPath: withoutSuffix(path),
  });
  return {
    repositoryAt: (path) => at(path, path),
    otherwiseAt: (path) => {
      const other = withoutSuffix(path);
      // That one has its own path, for which rights are checked.
      return other.endsWith(SUFFIX) ? undefined : at(path, other);
    },
  };
}

function withoutSuffix(path: RepositoryPath): string {
  return path.slice(0, -SUFFIX.length);
}
