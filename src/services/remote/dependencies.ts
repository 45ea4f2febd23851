import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { RemoteService } from '#wire/gen/remote_pb';

export interface RemoteDependencies {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof RemoteService, RemoteDependencies>;
