import { messageOf } from '#base/gitaly-error';
import { ControlGroups } from '#platform/cgroups/control-groups';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok, warning } from './finding.ts';

const SUBJECT = 'cgroups';

/**
 * Checks that control groups can be created as configured in `[cgroups]`, and removes them again.
 * Without that table nothing is checked.
 */
export function* checkCgroups({ cgroups }: GitalyConfig): Generator<Finding, void, undefined> {
  const { memoryBytes, cpuShares, cpuQuotaUs, repositories, mountpoint, hierarchyRoot } = cgroups;
  if (repositories.count < 1) {
    if (memoryBytes + cpuShares + cpuQuotaUs === 0) return;
    yield warning(
      SUBJECT,
      'the limits have no effect: there are no groups of repositories',
      'Set count in [cgroups.repositories], or remove [cgroups].',
    );
    return;
  }
  const problems: string[] = [];
  try {
    using groups = ControlGroups.create(cgroups, {
      onProblem: (path, error) => problems.push(`${path}: ${error}`),
    });
    if (groups === undefined) {
      yield failure(
        SUBJECT,
        `there are no control groups at ${mountpoint}: git runs without limits`,
        'Set mountpoint in [cgroups], or remove the table.',
      );
      return;
    }
    yield ok(SUBJECT, `version ${groups.version}, groups can be created in ${hierarchyRoot}`);
  } catch (error) {
    yield failure(
      SUBJECT,
      messageOf(error),
      'Run the server as a service with Delegate=yes, or make its user the owner of the group.',
    );
  }
  if (problems.length > 0)
    yield warning(SUBJECT, `old groups cannot be removed: ${problems.join(', ')}`, 'Remove them: rmdir.');
}
