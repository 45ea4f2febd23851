import { invalidArgument, wrap } from '#base/gitaly-error';
import { setFullPath as writeFullPath } from '#domain/settings/full-path';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { SetFullPathRequest, SetFullPathResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Stores the path under which GitLab shows a repository. */
export async function setFullPath(
  request: SetFullPathRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof SetFullPathResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.path === '') throw invalidArgument('no path provided');

  const { signal } = context;
  try {
    await writeFullPath(repository, request.path, { vote: deps.voteOf(context), signal });
  } catch (error) {
    throw wrap(error, 'setting config');
  }
  return {};
}
