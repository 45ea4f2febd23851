/**
 * Variables by which a git that started this process names its repository: in a hook, an alias, or
 * `git rebase --exec`. A git that inherits them works on that repository, wherever it runs.
 *
 * @see git: `git rev-parse --local-env-vars`, without those that pass settings on
 */
export const OUTER_REPOSITORY = [
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_CONFIG',
  'GIT_DIR',
  'GIT_GRAFT_FILE',
  'GIT_IMPLICIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_INTERNAL_SUPER_PREFIX',
  'GIT_NAMESPACE',
  'GIT_NO_REPLACE_OBJECTS',
  'GIT_OBJECT_DIRECTORY',
  'GIT_PREFIX',
  'GIT_QUARANTINE_PATH',
  'GIT_REPLACE_REF_BASE',
  'GIT_SHALLOW_FILE',
  'GIT_WORK_TREE',
] as const;

/** Returns an environment for a git that works on another repository than the outer one. */
export function withoutOuterRepository(environment: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const kept: Record<string, string> = {};
  const removed = new Set<string>(OUTER_REPOSITORY);
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && !removed.has(name)) kept[name] = value;
  return kept;
}
