import type { HookManager } from '#domain/hooks/hook-manager';
import type { SharedPacks } from '#domain/pack-objects/shared-packs';
import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { HookService } from '#wire/gen/hook_pb';

export interface HookDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
  readonly packs: SharedPacks;
}

export type Handlers = HandlersOf<typeof HookService, HookDependencies>;
