import type { CommitSigning } from '#domain/commit/commit-signing';
import type { HookManager } from '#domain/hooks/hook-manager';
import type { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import type { OperationService } from '#wire/gen/operations_pb';

export interface OperationDependencies extends VotingDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
  /** Repositories of other servers, in which a change may start. */
  readonly remotes: RemoteRepositories;
  readonly commitSigning: CommitSigning;
}

export type Handlers = HandlersOf<typeof OperationService, OperationDependencies>;
