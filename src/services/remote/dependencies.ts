import type { Storages } from '#storage/storages';

export interface RemoteDependencies {
  readonly storages: Storages;
}
