import { serveWith } from '#rpc/server/handler';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { applyBfgObjectMapStream } from './apply-bfg-object-map-stream.ts';
import type { CleanupDependencies } from './dependencies.ts';
import { rewriteHistory } from './rewrite-history.ts';

/** Removing files and texts from the whole history of a repository. */
export function cleanupService(deps: CleanupDependencies) {
  return serveWith(CleanupService, deps, {
    applyBfgObjectMapStream,
    rewriteHistory,
  });
}
