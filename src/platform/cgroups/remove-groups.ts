import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from '#base/attempt';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { isProcessAlive } from '../process/runtime-directory.ts';

const OWN_NAME = /^gitaly-(\d+)$/;

/**
 * Removes the groups of dead processes.
 *
 * @param roots directories of the hierarchy root, one for each hierarchy.
 */
export function pruneGroups(
  roots: readonly string[],
  ownPid: number,
  onProblem: (path: string, error: string) => void,
): void {
  for (const root of roots) {
    for (const name of subgroups(root)) {
      const pid = Number(OWN_NAME.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(pid) || (pid !== ownPid && pid !== 0 && isProcessAlive(pid))) continue;
      const problem = removeGroup(join(root, name));
      if (problem !== undefined) onProblem(join(root, name), problem);
    }
  }
}

/**
 * Removes a group and those in it. Their files are the kernel's and vanish with them. Returns the
 * reason if it stays: processes still run in it.
 */
export function removeGroup(directory: string): string | undefined {
  for (const name of subgroups(directory)) removeGroup(join(directory, name));
  try {
    rmdirSync(directory);
    return undefined;
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? undefined : messageOf(error);
  }
}

function subgroups(directory: string): string[] {
  // On failure: there is no such group
  return (
    attempt(() =>
      readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name),
    ) ?? []
  );
}
