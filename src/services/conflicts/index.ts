import { bindHandlers } from '#services/convert/bind-handlers';
import type { ConflictsService } from '#wire/gen/conflicts_pb';
import type { ConflictsDependencies } from './dependencies.ts';
import { listConflictFiles } from './list-conflict-files.ts';
import { resolveConflicts } from './resolve-conflicts.ts';

/**
 * Implements the conflicts service: lists merge conflicts and resolves them for the web interface.
 */
export function conflictsService(deps: ConflictsDependencies) {
  return bindHandlers<typeof ConflictsService, ConflictsDependencies>(deps, {
    listConflictFiles,
    resolveConflicts,
  });
}
