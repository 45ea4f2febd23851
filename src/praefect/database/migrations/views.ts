/**
 * Nodes that at least half of the Praefects have seen within 10 seconds. Only Praefects that have
 * contacted the virtual storage within a minute count.
 */
export const HEALTHY_STORAGES = `
SELECT seen.shard_name AS virtual_storage, seen.node_name AS storage
FROM node_status AS seen
WHERE seen.last_seen_active_at >= now() - interval '10 seconds'
GROUP BY seen.shard_name, seen.node_name
HAVING count(seen.praefect_name) >= (
  SELECT ceil(count(DISTINCT praefect_name) / 2.0)
  FROM node_status
  WHERE shard_name = seen.shard_name AND last_contact_attempt_at >= now() - interval '60 seconds'
)
ORDER BY seen.shard_name, seen.node_name`;

export const REPOSITORY_GENERATIONS = `
SELECT virtual_storage, relative_path, max(generation) AS generation
FROM storage_repositories
GROUP BY virtual_storage, relative_path`;

interface ValidPrimaries {
  readonly columns: string;
  /** Rows of the replicas that are up to date. */
  readonly from: string;
  /** Columns that identify a repository. */
  readonly repository: string;
  /** Condition on jobs of the repository. */
  readonly jobs: string;
}

/**
 * Healthy replicas that are up to date, assigned if any of these is, and not about to be deleted.
 */
function validPrimaries({ columns, from, repository, jobs }: ValidPrimaries): string {
  return `
SELECT ${columns}, storage
FROM (
  SELECT ${columns}, storage,
    repository_assignments.storage IS NOT NULL
      OR bool_and(repository_assignments.storage IS NULL) OVER (PARTITION BY ${repository}) AS eligible
  FROM ${from}
  JOIN healthy_storages USING (virtual_storage, storage)
  LEFT JOIN (SELECT ${repository}, storage FROM repository_assignments) AS repository_assignments
    USING (${repository}, storage)
  WHERE NOT EXISTS (
    SELECT FROM replication_queue
    WHERE state NOT IN ('completed', 'dead', 'cancelled')
      AND job->>'change' = 'delete_replica'
      AND ${jobs}
      AND job->>'target_node_storage' = storage
  )
) AS candidates
WHERE eligible`;
}

const byPath = {
  from: 'storage_repositories JOIN repository_generations USING (virtual_storage, relative_path, generation)',
  repository: 'virtual_storage, relative_path',
  jobs: `job->>'virtual_storage' = virtual_storage AND job->>'relative_path' = relative_path`,
};

/** Without repository ids. */
export const VALID_PRIMARIES_OF_PATHS = validPrimaries({
  columns: 'virtual_storage, relative_path',
  ...byPath,
});

/** With the ids of the replicas' rows. */
export const VALID_PRIMARIES_WITH_IDS = validPrimaries({
  columns: 'repository_id, virtual_storage, relative_path',
  ...byPath,
});

/** By repository ids. */
export const VALID_PRIMARIES = validPrimaries({
  columns: 'repository_id, virtual_storage, relative_path',
  from: `repositories
  JOIN (SELECT repository_id, storage, generation FROM storage_repositories) AS replicas
    USING (repository_id, generation)`,
  repository: 'repository_id',
  jobs: `(job->>'repository_id')::bigint = repository_id`,
});
