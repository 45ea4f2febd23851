import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { LifetimeService } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';
import { list } from './list.ts';
import { set } from './set.ts';

/** Implements the ends of repositories and references. */
export function lifetimeService(deps: {
  readonly storages: Storages;
}): ServiceImplementation<typeof LifetimeService> {
  return {
    set: (request, context) => set(request, context, deps),
    list: (request) => list(request, deps),
  };
}
