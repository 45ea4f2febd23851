import type { Housekeeping } from '#domain/housekeeping/housekeeping';
import type { HandlersOf } from '#rpc/server/handler';
import type { VotingDependencies } from '#services/convert/request/voting-dependencies';
import type { Storages } from '#storage/storages';
import type { ObjectPoolService } from '#wire/gen/objectpool_pb';

export interface ObjectPoolDependencies extends VotingDependencies {
  readonly storages: Storages;
  readonly housekeeping: Housekeeping;
}

export type Handlers = HandlersOf<typeof ObjectPoolService, ObjectPoolDependencies>;
