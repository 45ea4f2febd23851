import { serveWith } from '#rpc/server/handler';
import { InternalGitaly } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { listPoolUpstreams } from './list-pool-upstreams.ts';
import { listPoolMetadata, scanPoolMetadata, storePoolMetadata } from './pool-metadata.ts';
import { walkRepos } from './walk-repos.ts';

/** Calls of Praefect and of operators: the repositories of a storage, and their object pools. */
export function internalGitaly(deps: InternalDependencies) {
  return serveWith(InternalGitaly, deps, {
    walkRepos,
    scanPoolMetadata,
    storePoolMetadata,
    listPoolMetadata,
    listPoolUpstreams,
  });
}
