import type { HookManager } from '#domain/hooks/hook-manager';
import type { RemoteRepositories } from '#domain/remote-repository/remote-repositories';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { ConflictsService } from '#wire/gen/conflicts_pb';
import { listConflictFiles } from './list-conflict-files.ts';
import { resolveConflicts } from './resolve-conflicts.ts';

export interface ConflictsRooms {
  readonly storages: Storages;
  readonly hooks: HookManager;
  /** Repositories of other servers, where the branch to merge may be. */
  readonly remotes: RemoteRepositories;
}

/** Merge conflicts, shown and solved in the web. */
export function conflictsService(rooms: ConflictsRooms): ServiceImplementation<typeof ConflictsService> {
  return {
    listConflictFiles: (request, context) => listConflictFiles(request, context, rooms),
    resolveConflicts: (requests, context) => resolveConflicts(requests, context, rooms),
  };
}
