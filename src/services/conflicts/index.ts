import type { ServiceImplementation } from '#rpc/server/handler';
import type { ConflictsService } from '#wire/gen/conflicts_pb';
import type { ConflictsDependencies } from './dependencies.ts';
import { listConflictFiles } from './list-conflict-files.ts';
import { resolveConflicts } from './resolve-conflicts.ts';

/**
 * Implements the conflicts service: lists merge conflicts and resolves them for the web interface.
 */
export function conflictsService(
  deps: ConflictsDependencies,
): ServiceImplementation<typeof ConflictsService> {
  return {
    listConflictFiles: (request, context) => listConflictFiles(request, context, deps),
    resolveConflicts: (requests, context) => resolveConflicts(requests, context, deps),
  };
}
