import { GitalyError } from '#base/gitaly-error';
import type { PoolMetadataStore } from '#storage/pool-metadata/pool-metadata-store';
import type { InternalDependencies } from './dependencies.ts';

/** @throws {GitalyError} FAILED_PRECONDITION without `[pool_metadata] database_path`. */
export function requireStore({ poolMetadata }: InternalDependencies): PoolMetadataStore {
  if (poolMetadata === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'pool metadata store not configured');
  return poolMetadata;
}
