import { mkdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok } from './finding.ts';

const SUBJECT = 'cgroups';
const FIX =
  'Run the server as a service with Delegate=yes, or make its user the owner of the group; without ' +
  'permission, remove [cgroups].';

/**
 * Checks that control groups can be made where `[cgroups]` wants them. Without that table nothing
 * is checked.
 */
export async function* checkCgroups({ cgroups }: GitalyConfig): AsyncGenerator<Finding, void, undefined> {
  const { memoryBytes, cpuShares, cpuQuotaUs, repositories } = cgroups;
  if (memoryBytes + cpuShares + cpuQuotaUs + repositories.count === 0) return;
  const root = join(cgroups.mountpoint, cgroups.hierarchyRoot);
  const missing = await missingControllers(cgroups.mountpoint);
  if (missing.length > 0) {
    yield failure(
      SUBJECT,
      `${cgroups.mountpoint} has no controller ${missing.join(' and ')}`,
      'Enable them for the group above (cgroup.subtree_control), or remove [cgroups].',
    );
    return;
  }
  const trial = join(root, `gitaly-check-${process.pid}`);
  const made: string[] = [];
  try {
    for (const path of [root, trial]) {
      await mkdir(path).then(
        () => made.push(path),
        (error: unknown) => {
          if (systemErrorCode(error) !== 'EEXIST') throw error;
        },
      );
    }
    yield ok(SUBJECT, `groups can be made in ${root}`);
  } catch (error) {
    yield failure(SUBJECT, `cannot make a group in ${root}: ${systemErrorText(error)}`, FIX);
  } finally {
    // The kernel removes an empty group's files with it.
    for (const path of made.reverse()) await rmdir(path).catch(() => {});
  }
}

/** Returns the controllers that version 2 lacks; version 1 has a folder for each. */
async function missingControllers(mountpoint: string): Promise<string[]> {
  const text = await readFile(join(mountpoint, 'cgroup.controllers'), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  const controllers = text.trim().split(' ');
  return ['cpu', 'memory'].filter((name) => !controllers.includes(name));
}
