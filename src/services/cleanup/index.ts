import type { ServiceImplementation } from '#rpc/server/handler';
import type { CleanupService } from '#wire/gen/cleanup_pb';
import { applyBfgObjectMapStream } from './apply-bfg-object-map-stream.ts';
import type { CleanupDependencies } from './dependencies.ts';
import { rewriteHistory } from './rewrite-history.ts';

/** Removing files and texts from the whole history of a repository. */
export function cleanupService(deps: CleanupDependencies): ServiceImplementation<typeof CleanupService> {
  return {
    applyBfgObjectMapStream: (requests, context) => applyBfgObjectMapStream(requests, context, deps),
    rewriteHistory: (requests, context) => rewriteHistory(requests, context, deps),
  };
}
