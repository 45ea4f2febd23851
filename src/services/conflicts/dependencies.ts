import type { HookManager } from '#domain/hooks/hook-manager';
import type { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { Storages } from '#storage/storages';

export interface ConflictsDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
  /** Repositories of other servers, where the branch to merge may be. */
  readonly remotes: RemoteRepositories;
}
