import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isError } from '#base/is-error';
import { CLONE_PREFIX } from '../import/clone-source.ts';
import { oldEntries } from './check-storage.ts';
import { type Finding, ok, warning } from './finding.ts';

/**
 * Finds leftovers of killed processes in the runtime directory and among the machine's temporary
 * files.
 */
export async function* checkLeftovers(
  runtimeDirectory: string | undefined,
): AsyncGenerator<Finding, void, undefined> {
  const dead = runtimeDirectory === undefined ? [] : await runtimesOfTheDead(runtimeDirectory);
  const imports = (await oldEntries(tmpdir(), (name) => name.startsWith(CLONE_PREFIX))).map((name) =>
    join(tmpdir(), name),
  );
  if (dead.length > 0)
    yield warning(
      'leftovers',
      `runtime directories of servers that no longer run: ${dead.join(', ')}`,
      'The next start removes them.',
    );
  if (imports.length > 0)
    yield warning(
      'leftovers',
      `copies of imports that were killed: ${imports.join(', ')}`,
      `rm -r ${imports.join(' ')}`,
    );
  if (dead.length + imports.length === 0) yield ok('leftovers', 'none');
}

async function runtimesOfTheDead(directory: string): Promise<string[]> {
  // the configuration check reports a missing directory
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => {
    const pid = /^gitaly-(\d+)$/.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isError(error) && 'code' in error && error.code === 'EPERM';
  }
}
