import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf } from '#base/gitaly-error';
import type { RepositoryExistsRequest, RepositoryExistsResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from './dependencies.ts';

/**
 * Reports whether a valid repository exists. A directory that is not a repository is no error; a
 * missing storage is one.
 */
export function repositoryExists(
  request: RepositoryExistsRequest,
  deps: RepositoryDependencies,
): MessageInitShape<typeof RepositoryExistsResponseSchema> {
  try {
    deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
    return { exists: true };
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'NOT_FOUND' && code !== 'FAILED_PRECONDITION') throw error;
    deps.storages.locate(request.repository); // throws for a missing storage
    return { exists: false };
  }
}
