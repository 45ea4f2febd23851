import { limitedSignal } from '#base/async/limited-signal';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { ObservedNodes } from '../nodes/gitaly-node.ts';

const BATCH_SIZE = 25;
/** How long a batch belongs to one Praefect. */
const LEASE_MS = 30_000;

/** Label `result` of `gitaly_praefect_verification_jobs_completed_total`. */
export type VerificationResult = 'valid' | 'invalid' | 'error';

export interface VerifierMetrics {
  dequeued(virtualStorage: string, storage: string): void;
  completed(virtualStorage: string, storage: string, result: VerificationResult): void;
  released(leases: number): void;
}

export interface VerifierOptions extends ObservedNodes {
  readonly database: Database;
  /** Age of a verification after which it is repeated. */
  readonly intervalMs: number;
  /** Deletes the records of replicas that do not exist. */
  readonly deletesRecords: boolean;
  readonly metrics: VerifierMetrics;
  readonly logger: Logger;
}

interface Replica {
  readonly repository_id: number;
  readonly virtual_storage: string;
  readonly relative_path: string;
  readonly replica_path: string;
  readonly storage: string;
}

interface Verified {
  readonly replica: Replica;
  readonly result: VerificationResult;
}

/**
 * Checks whether replicas that were not verified for a time exist on their nodes. The repository
 * stays in the database even without a replica, so that its loss can be seen.
 *
 * @returns the number of checked replicas.
 */
export async function verifyReplicas(options: VerifierOptions, signal: AbortSignal): Promise<number> {
  const { logger, metrics } = options;
  try {
    const replicas = await lease(options);
    using limited = limitedSignal(LEASE_MS, signal);
    const verified = await Promise.all(
      replicas.map(async (replica): Promise<Verified> => {
        metrics.dequeued(replica.virtual_storage, replica.storage);
        return { replica, result: await verify(options, replica, limited.signal) };
      }),
    );
    if (verified.length > 0) await record(options, verified);
    for (const { replica, result } of verified)
      metrics.completed(replica.virtual_storage, replica.storage, result);
    return verified.length;
  } catch (error) {
    if (!signal.aborted) logger.error({ error: messageOf(error) }, 'failed a background verification run');
    return 0;
  }
}

/** Frees the replicas of Praefects that are gone. Never rejects. */
export async function releaseLeases({ database, logger, metrics }: VerifierOptions): Promise<void> {
  try {
    for (;;) {
      const released = await database.rows(sql<{
        virtual_storage: string;
        relative_path: string;
        storage: string;
      }>`
        UPDATE storage_repositories AS replica SET verification_leased_until = NULL
        FROM (
          SELECT repository_id, storage FROM storage_repositories
          WHERE verification_leased_until < now() - ${LEASE_MS} * interval '1 millisecond'
          LIMIT ${BATCH_SIZE} FOR NO KEY UPDATE SKIP LOCKED
        ) AS stale
        WHERE (replica.repository_id, replica.storage) = (stale.repository_id, stale.storage)
        RETURNING replica.virtual_storage, replica.relative_path, replica.storage`);
      if (released.length > 0) {
        metrics.released(released.length);
        logger.info({ leases_released: grouped(released) }, 'released stale verification leases');
      }
      if (released.length < BATCH_SIZE) return;
    }
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'failed releasing expired leases');
  }
}

/** Takes the replicas that have waited longest. */
async function lease({
  database,
  intervalMs,
  isHealthy,
  nodes,
}: VerifierOptions): Promise<readonly Replica[]> {
  const healthy = [...nodes.values()].flat().filter(isHealthy);
  if (healthy.length === 0) return [];
  return await database.rows(sql<Replica>`
    WITH due AS (
      SELECT repository_id, repository.virtual_storage, repository.relative_path, replica_path, storage
      FROM (
        SELECT repository_id, storage FROM storage_repositories
        WHERE verification_leased_until IS NULL
          AND coalesce(verified_at < now() - ${intervalMs} * interval '1 millisecond', true)
        ORDER BY verified_at NULLS FIRST
        FOR NO KEY UPDATE SKIP LOCKED
      ) AS replica
      JOIN repositories AS repository USING (repository_id)
      JOIN unnest(
        ${healthy.map(({ config }) => config.virtualStorage)}::text[],
        ${healthy.map(({ storage }) => storage)}::text[]
      ) AS healthy(virtual_storage, storage) USING (virtual_storage, storage)
      LIMIT ${BATCH_SIZE}
    ), leased AS (
      UPDATE storage_repositories AS replica
      SET verification_leased_until = now() + ${LEASE_MS} * interval '1 millisecond'
      FROM due WHERE (replica.repository_id, replica.storage) = (due.repository_id, due.storage)
    )
    SELECT * FROM due`);
}

async function verify(
  { logger, nodes }: VerifierOptions,
  replica: Replica,
  signal: AbortSignal,
): Promise<VerificationResult> {
  const { replica_path: relativePath, storage, virtual_storage: virtualStorage } = replica;
  try {
    const node = nodes.get(virtualStorage)?.find((each) => each.storage === storage);
    if (node === undefined) throw new Error('the node is not configured');
    const repository = { storageName: storage, relativePath };
    const { exists } = await node.connection.repository.repositoryExists({ repository }, { signal });
    return exists ? 'valid' : 'invalid';
  } catch (error) {
    logger.error({ ...replica, error: messageOf(error) }, "failed to verify replica's existence");
    return 'error';
  }
}

async function record(
  { database, deletesRecords, logger }: VerifierOptions,
  verified: readonly Verified[],
): Promise<void> {
  const missing = verified.filter(({ result }) => result === 'invalid').map(({ replica }) => replica);
  if (missing.length > 0) {
    logger.info(
      { perform_deletions: deletesRecords, replicas: grouped(missing) },
      'removing metadata records of non-existent replicas',
    );
  }
  await database.transaction(async (executor) => {
    // Locks several repositories in the order that all code uses.
    const ids = [...new Set(verified.map(({ replica }) => replica.repository_id))].sort((a, b) => a - b);
    await sql`SELECT FROM repositories WHERE repository_id = ANY (${ids}::bigint[])
      ORDER BY repository_id FOR UPDATE`.execute(executor);
    const results = sql`unnest(
      ${verified.map(({ replica }) => replica.repository_id)}::bigint[],
      ${verified.map(({ replica }) => replica.storage)}::text[],
      ${verified.map(({ result }) => result)}::text[]
    ) AS verified(repository_id, storage, result)`;
    const isSame = sql`(replica.repository_id, replica.storage) = (verified.repository_id, verified.storage)`;
    await sql`UPDATE storage_repositories AS replica
      SET verification_leased_until = NULL,
        verified_at = CASE WHEN result = 'error' THEN verified_at ELSE now() END
      FROM ${results} WHERE ${isSame}`.execute(executor);
    if (!deletesRecords) return;
    await sql`DELETE FROM storage_repositories AS replica USING ${results}
      WHERE ${isSame} AND result = 'invalid'`.execute(executor);
  });
}

/** Groups storages by virtual storage and path, for the log. */
function grouped(
  replicas: readonly Pick<Replica, 'virtual_storage' | 'relative_path' | 'storage'>[],
): Record<string, Record<string, string[]>> {
  const groups = new Map<string, Map<string, string[]>>();
  for (const { relative_path: path, storage, virtual_storage: name } of replicas) {
    const paths = groups.get(name) ?? new Map<string, string[]>();
    groups.set(name, paths.set(path, [...(paths.get(path) ?? []), storage].sort()));
  }
  return Object.fromEntries([...groups].map(([name, paths]) => [name, Object.fromEntries(paths)]));
}
