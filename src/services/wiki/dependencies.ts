import type { HookManager } from '#domain/hooks/hook-manager';
import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { WikiService } from '#wire/gen/wiki_pb';

export interface WikiDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
}

export type Handlers = HandlersOf<typeof WikiService, WikiDependencies>;
