/**
 * Matches GitLab's pool paths: a hash, whose first digits are the directories. A prefix is allowed
 * (one storage in another).
 */
const GITLAB_POOL = /@pools\/([0-9a-f]{2})\/([0-9a-f]{2})\/\1\2[0-9a-f]{60}\.git$/;
/** Matches the pool paths of clusters, which use a number. */
const CLUSTER_POOL = /^@cluster\/pools\/[0-9a-f]{2}\/[0-9a-f]{2}\/\d+$/;

/** Reports whether a repository is an object pool, from its path. */
export function isPoolPath(relativePath: string): boolean {
  return GITLAB_POOL.test(relativePath) || CLUSTER_POOL.test(relativePath);
}
