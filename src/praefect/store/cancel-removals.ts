import { sql } from '../database/database.ts';

/**
 * Returns a statement that drops the waiting removals of replicas which an operator needs again.
 * Only Gitaly's Praefects do not check this again when they take such a job.
 */
export function cancelRemovals(repositoryId: number, storages: readonly string[]) {
  return sql`
    DELETE FROM replication_queue
    WHERE state IN ('ready', 'failed') AND job->>'change' = 'delete_replica'
      AND (job->>'repository_id')::bigint = ${repositoryId}
      AND job->>'target_node_storage' = ANY (${storages}::text[])`;
}
