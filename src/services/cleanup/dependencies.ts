import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import type { CleanupService } from '#wire/gen/cleanup_pb';

export interface CleanupDependencies extends VotingDependencies {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof CleanupService, CleanupDependencies>;
