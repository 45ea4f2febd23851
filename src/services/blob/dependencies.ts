import type { Storages } from '#storage/storages';

export interface BlobDependencies {
  readonly storages: Storages;
}
