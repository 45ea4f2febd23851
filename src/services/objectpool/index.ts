import { bindHandlers } from '#services/convert/bind-handlers';
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
export function objectPoolService(deps: ObjectPoolDependencies) {
  return bindHandlers<typeof ObjectPoolService, ObjectPoolDependencies>(deps, {
    createObjectPool,
    deleteObjectPool,
    disconnectGitAlternates,
    fetchIntoObjectPool,
    getObjectPool,
    linkRepositoryToObjectPool,
    reduplicateRepository,
  });
}
