import type { ServiceImplementation } from '#rpc/server/handler';
import type { InternalGitaly } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { listPoolUpstreams } from './list-pool-upstreams.ts';
import { listPoolMetadata, scanPoolMetadata, storePoolMetadata } from './pool-metadata.ts';
import { walkRepos } from './walk-repos.ts';

/** Calls of Praefect and of operators: the repositories of a storage, and their object pools. */
export function internalGitaly(deps: InternalDependencies): ServiceImplementation<typeof InternalGitaly> {
  return {
    walkRepos: (request, context) => walkRepos(request, context, deps),
    scanPoolMetadata: (request, context) => scanPoolMetadata(request, context, deps),
    storePoolMetadata: (requests) => storePoolMetadata(requests, deps),
    listPoolMetadata: (request) => listPoolMetadata(request, deps),
    listPoolUpstreams: (requests, context) => listPoolUpstreams(requests, context, deps),
  };
}
