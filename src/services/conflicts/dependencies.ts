import type { HookManager } from '#domain/hooks/hook-manager';
import type { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { ConflictsService } from '#wire/gen/conflicts_pb';

export interface ConflictsDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
  /** Repositories of other servers, where the branch to merge may be. */
  readonly remotes: RemoteRepositories;
}

export type Handlers = HandlersOf<typeof ConflictsService, ConflictsDependencies>;
