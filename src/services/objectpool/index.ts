import { serveWith } from '#rpc/server/handler';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
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
  return serveWith(ObjectPoolService, deps, {
    createObjectPool,
    deleteObjectPool,
    disconnectGitAlternates,
    fetchIntoObjectPool,
    getObjectPool,
    linkRepositoryToObjectPool,
    reduplicateRepository,
  });
}
