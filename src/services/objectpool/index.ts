import type { ServiceImplementation } from '#rpc/server/handler';
import type { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { createObjectPool } from './create-object-pool.ts';
import { deleteObjectPool } from './delete-object-pool.ts';
import type { ObjectPoolDependencies } from './dependencies.ts';
import { disconnectGitAlternates } from './disconnect-git-alternates.ts';
import { fetchIntoObjectPool } from './fetch-into-object-pool.ts';
import { getObjectPool } from './get-object-pool.ts';
import { linkRepositoryToObjectPool } from './link-repository-to-object-pool.ts';
import { reduplicateRepository } from './reduplicate-repository.ts';

/** Object pools: objects that several repositories share. */
export function objectPoolService(
  deps: ObjectPoolDependencies,
): ServiceImplementation<typeof ObjectPoolService> {
  return {
    createObjectPool: (request, context) => createObjectPool(request, context, deps),
    deleteObjectPool: (request, context) => deleteObjectPool(request, context, deps),
    disconnectGitAlternates: (request, context) => disconnectGitAlternates(request, context, deps),
    fetchIntoObjectPool: (request, context) => fetchIntoObjectPool(request, context, deps),
    getObjectPool: (request, context) => getObjectPool(request, context, deps),
    linkRepositoryToObjectPool: (request, context) => linkRepositoryToObjectPool(request, context, deps),
    reduplicateRepository: (request, context) => reduplicateRepository(request, context, deps),
  };
}
