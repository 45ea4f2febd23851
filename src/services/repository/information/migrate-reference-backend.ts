import { GitalyError } from '#base/gitaly-error';
import type { MigrateReferenceBackendRequest } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/**
 * Refuses to change the storage format of references, as Gitaly does without its transactions: it
 * could not exclude other writers.
 */
export function migrateReferenceBackend(
  request: MigrateReferenceBackendRequest,
  deps: RepositoryDependencies,
): never {
  deps.storages.open(request.repository);
  throw new GitalyError('INTERNAL', 'transaction not found');
}
