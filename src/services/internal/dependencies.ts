import type { InternalApi } from '#domain/gitlab-api/internal-api';
import type { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import type { Storages } from '#storage/storages';

export interface InternalDependencies {
  readonly storages: Storages;
  readonly api: InternalApi;
  /** `undefined` without `[pool_metadata] database_path`. */
  readonly poolMetadata: PoolMetadataStore | undefined;
}
