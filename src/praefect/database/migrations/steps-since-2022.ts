import type { Migration } from './migration.ts';
import { notifyWithPaths } from './steps-2020.ts';

/** Replicas are compared by the columns that caches hold. */
const GENERATION_OR_PATH = `coalesce(now.generation, -1) <> coalesce(was.generation, -1)
  OR now.relative_path <> was.relative_path`;

/** Jobs of Praefects before 15.1. */
const MAINTENANCE = `'gc', 'repack_full', 'repack_incremental', 'cleanup', 'pack_refs', 'write_commit_graph',
  'midx_repack', 'optimize_repository', 'prune_unreachable_objects'`;

export const stepsSince2022: readonly Migration[] = [
  {
    id: '20220215160117_replication_queue_cleanup_again',
    up: ["DELETE FROM replication_queue WHERE state IN ('dead', 'completed')"],
    down: [],
  },
  {
    id: '20220303105110_background_verification_columns',
    up: [
      `ALTER TABLE storage_repositories
        ADD verified_at timestamptz, ADD verification_leased_until timestamptz`,
      `CREATE INDEX verification_queue ON storage_repositories (verified_at NULLS FIRST)
        WHERE verification_leased_until IS NULL`,
    ],
    down: [
      'DROP INDEX verification_queue',
      'ALTER TABLE storage_repositories DROP verification_leased_until, DROP verified_at',
    ],
  },
  {
    id: '20220404131105_stale_verification_lease_index',
    up: [
      `CREATE INDEX verification_leases ON storage_repositories (verification_leased_until)
        WHERE verification_leased_until IS NOT NULL`,
    ],
    down: ['DROP INDEX verification_leases'],
  },
  {
    id: '20220407111624_ignore_verification_in_triggers',
    up: [notifyWithPaths(GENERATION_OR_PATH)],
    down: [notifyWithPaths('true')],
  },
  {
    id: '20220520083313_remove_maintenance_replication_events',
    up: [
      `CREATE TEMPORARY TABLE removed_jobs ON COMMIT DROP AS
        SELECT id, lock_id FROM replication_queue WHERE job->>'change' IN (${MAINTENANCE})`,
      'DELETE FROM replication_queue_job_lock WHERE job_id IN (SELECT id FROM removed_jobs)',
      'DELETE FROM replication_queue WHERE id IN (SELECT id FROM removed_jobs)',
      `UPDATE replication_queue_lock AS held SET acquired = false
        WHERE acquired AND id IN (SELECT lock_id FROM removed_jobs)
          AND NOT EXISTS (SELECT FROM replication_queue_job_lock WHERE lock_id = held.id)`,
    ],
    down: [],
  },
  {
    id: '20260224025459_repo_write_locks',
    up: [
      `CREATE TABLE repository_reference_write_locks (
        lock_id text PRIMARY KEY,
        holder_txn_id bigint NOT NULL,
        expired_at timestamptz NOT NULL
      )`,
      `CREATE INDEX repository_reference_write_locks_expired_at_idx
        ON repository_reference_write_locks (expired_at)`,
      `CREATE OR REPLACE FUNCTION notify_on_write_lock_release() RETURNS trigger LANGUAGE plpgsql AS $body$
      BEGIN
        PERFORM pg_notify('repository_reference_write_lock_releases', old.lock_id);
        RETURN NULL;
      END
      $body$`,
      `CREATE TRIGGER notify_on_write_lock_delete AFTER DELETE ON repository_reference_write_locks
        FOR EACH ROW EXECUTE FUNCTION notify_on_write_lock_release()`,
    ],
    down: [
      'DROP TABLE repository_reference_write_locks',
      'DROP FUNCTION IF EXISTS notify_on_write_lock_release',
    ],
  },
];
