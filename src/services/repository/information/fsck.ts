import { checkRepository } from '#domain/consistency/check-repository';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { FsckRequest, FsckResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Checks the objects and references of a repository. Problems are a result, not an error. */
export async function fsck(
  request: FsckRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof FsckResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { repoOnly } = request;
  const problems = await checkRepository(repository, { repoOnly, signal: context.signal });
  return problems === undefined ? {} : { error: problems };
}
