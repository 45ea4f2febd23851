import { wrap } from '#base/gitaly-error';
import { fullPath as readFullPath } from '#domain/settings/full-path';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FullPathRequest, FullPathResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Returns the path under which GitLab shows a repository. Fails if there is none. */
export async function fullPath(
  request: FullPathRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FullPathResponseSchema> {
  const repository = deps.storages.open(request.repository);
  try {
    return { path: (await readFullPath(repository, context.signal)).toString() };
  } catch (error) {
    throw wrap(error, 'fetch config');
  }
}
