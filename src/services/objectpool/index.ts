import type { ServiceImplementation } from '#rpc/server/handler';
import type { ObjectPoolService } from '#wire/gen/objectpool_pb';
import type { ObjectPoolDependencies } from './dependencies.ts';
import {
  createObjectPool,
  deleteObjectPool,
  disconnectGitAlternates,
  fetchIntoObjectPool,
  getObjectPool,
  linkRepositoryToObjectPool,
  reduplicateRepository,
} from './object-pools.ts';

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
