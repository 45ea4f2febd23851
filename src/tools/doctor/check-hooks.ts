import { accessSync, constants } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBool } from '#base/go/strconv';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok, warning } from './finding.ts';

const HOOKS = ['pre-receive', 'update', 'post-receive'] as const;

/**
 * Checks the custom hooks of all repositories (`[hooks] custom_hooks_dir`): an unreadable directory
 * refuses every push, and a file that is not executable is no hook.
 */
export async function* checkHooks({ hooks }: GitalyConfig): AsyncGenerator<Finding, void, undefined> {
  if (parseBool(process.env.GITALY_TESTING_NO_GIT_HOOKS ?? '') === true) {
    yield warning(
      'hooks',
      'GITALY_TESTING_NO_GIT_HOOKS switches off the access checks of GitLab',
      'Remove it from the environment of the server.',
    );
  }
  const root = hooks.customHooksDir;
  if (!root) return;
  const counts: string[] = [];
  for (const hook of HOOKS) {
    const directory = join(root, `${hook}.d`);
    try {
      const names = await readdir(directory);
      const idle = await idleFiles(directory, names);
      if (idle.length > 0) {
        const fix = `If they are hooks: chmod +x ${idle.join(' ')}`;
        yield warning('hooks', `not executable, so not run: ${idle.join(', ')}`, fix);
      }
      counts.push(`${names.length - idle.length} of ${hook}`);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') continue;
      yield failure(
        'hooks',
        `${directory}: ${systemErrorText(error)}; pushes are refused`,
        'Make the user of the server its owner, or remove it.',
      );
    }
  }
  yield ok('hooks', `${root}: ${counts.length === 0 ? 'no hooks' : counts.join(', ')}`);
}

/** Returns the files that the server skips because it may not execute them. */
async function idleFiles(directory: string, names: readonly string[]): Promise<string[]> {
  const idle: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    const stats = await stat(path).catch(() => undefined); // a dangling link
    if (name.endsWith('~') || stats?.isDirectory() === true || isExecutable(path)) continue;
    idle.push(path);
  }
  return idle;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // whatever the reason, the server cannot run it
  }
}
