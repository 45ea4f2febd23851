import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LISTS = [
  'find ../+gitaly/tmp -type f | head',
  "find . -name '*.lock' | head",
  'find gitlab-worktree worktrees -mindepth 1 2>/dev/null | head',
];

const PREFIX = `${LISTS.join('; ')}; `;

/** Returns a recording's script without the lists of what a call may leave. */
export function withoutLists(script: string): string {
  return script.startsWith(PREFIX) ? script.slice(PREFIX.length) : script;
}

/**
 * Returns the rest of a recording's script behind three lists of what a call may leave, if these
 * are empty in a repository; else the whole script. A thousand recordings have the lists, and their
 * six programs take longer than the call.
 */
export function withoutEmptyLists(script: string, repository: string): string {
  const rest = withoutLists(script);
  if (rest === script) return script;
  const temporary = join(repository, '../+gitaly/tmp');
  const isEmpty =
    existsSync(temporary) && // else `find` reports that
    !readdirSync(temporary, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile()) &&
    !readdirSync(repository, { recursive: true, encoding: 'latin1' }).some((name) =>
      name.endsWith('.lock'),
    ) &&
    ['gitlab-worktree', 'worktrees'].every((name) => isEmptyDirectory(join(repository, name)));
  return isEmpty ? rest : script;
}

/** Reports whether a directory has no entries, or does not exist. */
function isEmptyDirectory(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}
