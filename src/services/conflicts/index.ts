import { serveWith } from '#rpc/server/handler';
import { ConflictsService } from '#wire/gen/conflicts_pb';
import type { ConflictsDependencies } from './dependencies.ts';
import { listConflictFiles } from './list-conflict-files.ts';
import { resolveConflicts } from './resolve-conflicts.ts';

/**
 * Implements the conflicts service: lists merge conflicts and resolves them for the web interface.
 */
export function conflictsService(deps: ConflictsDependencies) {
  return serveWith(ConflictsService, deps, {
    listConflictFiles,
    resolveConflicts,
  });
}
