import { type Database, sql } from '#praefect/database/database';

/** Storages of the generated virtual storage `default`. */
export const GENERATED_STORAGES = ['gitaly-1', 'gitaly-2', 'gitaly-3'];

/**
 * Fills the tables of a Praefect with repositories, each with three replicas, as they are after a
 * long time: 1 of 1000 has an outdated replica, 1 of 10,000 none that is healthy and newest, 1 of
 * 100 two assigned storages.
 *
 * @param count of repositories; their ids begin with 1.
 */
export async function generateCluster(database: Database, count: number): Promise<void> {
  const run = (statement: ReturnType<typeof sql>): Promise<number> => database.run(statement);
  // A notification with all paths would be too long.
  await run(sql`ALTER TABLE storage_repositories DISABLE TRIGGER USER`);
  await run(sql`INSERT INTO node_status
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT 'generated', 'default', storage, 'infinity', 'infinity'
    FROM unnest(${GENERATED_STORAGES}::text[]) AS each(storage)`);
  await run(sql`INSERT INTO repositories
      (virtual_storage, relative_path, generation, "primary", repository_id, replica_path)
    SELECT 'default', path || '.git', 5, 'gitaly-' || 1 + id % 3, id, '@cluster/repositories/' || path
    FROM (
      SELECT id, '@hashed/' || substr(md5(id::text), 1, 2) || '/' || substr(md5(id::text), 3, 2) || '/'
        || md5(id::text) AS path
      FROM generate_series(1, ${count}::bigint) AS id
    ) AS new`);
  await run(sql`INSERT INTO storage_repositories
      (virtual_storage, relative_path, storage, generation, repository_id, verified_at)
    SELECT virtual_storage, relative_path, storage,
      CASE
        WHEN repository_id % 10000 = 0 THEN 3
        WHEN repository_id % 1000 = 0 AND storage = 'gitaly-3' THEN 4
        ELSE 5
      END,
      repository_id, now()
    FROM repositories CROSS JOIN unnest(${GENERATED_STORAGES}::text[]) AS each(storage)`);
  await run(sql`INSERT INTO repository_assignments (virtual_storage, relative_path, storage, repository_id)
    SELECT virtual_storage, relative_path, storage, repository_id
    FROM storage_repositories WHERE repository_id % 100 = 0 AND storage <> 'gitaly-3'`);
  await run(sql`SELECT setval('repositories_repository_id_seq', ${count}::bigint)`);
  await run(sql`ALTER TABLE storage_repositories ENABLE TRIGGER USER`);
  await run(sql`ANALYZE`);
}
