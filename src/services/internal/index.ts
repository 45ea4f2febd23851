import { serveWith } from '#rpc/server/handler';
import { InternalGitaly } from '#wire/gen/internal_pb';
import type { InternalDependencies } from './dependencies.ts';
import { listPoolMetadata, scanPoolMetadata, storePoolMetadata } from './pool-metadata.ts';
import { listPoolUpstreams, walkRepos } from './walk-repositories.ts';

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
