import type { HookManager } from '#domain/hooks/hook-manager';
import type { Storages } from '#storage/storages';

export interface WikiDependencies {
  readonly storages: Storages;
  readonly hooks: HookManager;
}
