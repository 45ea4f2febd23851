import type { HookManager } from '#domain/hooks/hook-manager';
import type { SharedPacks } from '#domain/pack-objects/shared-packs';
import type { Storages } from '#storage/storages';

export interface HookDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
  readonly packs: SharedPacks;
}
