import type { Storages } from '#storage/storages';

export interface DiffDependencies {
  readonly storages: Storages;
}
