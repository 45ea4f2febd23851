import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { DiffService } from '#wire/gen/diff_pb';

export interface DiffDependencies {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof DiffService, DiffDependencies>;
