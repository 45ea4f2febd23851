/** GitLab names pools by a hash, whose first digits are the directories. A path may stand before it (one storage in another). */
const GITLAB_POOL = /@pools\/([0-9a-f]{2})\/([0-9a-f]{2})\/\1\2[0-9a-f]{60}\.git$/;
/** Clusters name them by a number. */
const CLUSTER_POOL = /^@cluster\/pools\/[0-9a-f]{2}\/[0-9a-f]{2}\/\d+$/;

/** Whether a repository is an object pool, from which others borrow: told by its path alone. */
export function isPoolPath(relativePath: string): boolean {
  return GITLAB_POOL.test(relativePath) || CLUSTER_POOL.test(relativePath);
}
