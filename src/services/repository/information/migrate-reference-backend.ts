import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { migrateReferences } from '#domain/migrate-references/migrate-references';
import { MIGRATE_REFERENCES } from '#rpc/common/header-names';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

/**
 * Changes the storage format of references. Gitaly serves it only with transactions, so this server
 * serves it if they are enabled, or if the client shows that it wants it in any case.
 */
export const migrateReferenceBackend: Handlers['migrateReferenceBackend'] = async (
  request,
  context,
  deps,
) => {
  const repository = deps.storages.open(request.repository);
  if (!deps.migratesReferences && context.headers.get(MIGRATE_REFERENCES) !== 'true')
    throw new GitalyError('INTERNAL', 'transaction not found');
  const { targetReferenceBackend } = request;
  if (targetReferenceBackend === Backend.UNSPECIFIED)
    throw invalidArgument('target reference backend not set');

  const startedMs = performance.now();
  // As in Gitaly, an unknown number means files.
  const target = targetReferenceBackend === Backend.REFTABLE ? 'reftable' : 'files';
  await migrateReferences(repository, target, {
    maintenance: deps.housekeeping.runs,
    vote: deps.voteOf(context),
    signal: context.signal,
  }).catch(wrapped('migration failed'));
  const nanos = Math.round((performance.now() - startedMs) * 1e6);
  return { time: { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 } };
};
