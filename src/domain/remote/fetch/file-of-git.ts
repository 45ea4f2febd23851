/**
 * Files and directories in a repository that are not references. git writes a reference outside
 * `refs/` to the file of that name, whatever the file was before.
 */
const FILES = new Set([
  'branches',
  'commondir',
  'config',
  'config.worktree',
  'custom_hooks',
  'description',
  'gc.log',
  'gc.pid',
  'gitdir',
  'gitlab-worktree',
  'hooks',
  'index',
  'info',
  'language-stats.cache',
  'logs',
  'modules',
  'objects',
  'packed-refs',
  'refs',
  'reftable',
  'remotes',
  'rr-cache',
  'shallow',
  'worktrees',
]);

/**
 * Reports whether a reference of this name would be in the place of a file with another meaning:
 * outside `refs/`, any path with a slash, and the names that git and the server use.
 */
export function isFileOfGit(reference: Uint8Array): boolean {
  const name = Buffer.from(reference).toString('latin1');
  if (name.startsWith('refs/')) return false;
  // Some file systems do not distinguish cases.
  return name.includes('/') || FILES.has(name.toLowerCase());
}
