import type { InternalApi } from '#domain/gitlab-api/internal-api';
import type { HandlersOf } from '#rpc/server/handler';
import type { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import type { Storages } from '#storage/storages';
import type { InternalGitaly } from '#wire/gen/internal_pb';

export interface InternalDependencies {
  readonly storages: Storages;
  readonly api: InternalApi;
  /** `undefined` without `[pool_metadata] database_path`. */
  readonly poolMetadata: PoolMetadataStore | undefined;
}

export type Handlers = HandlersOf<typeof InternalGitaly, InternalDependencies>;
