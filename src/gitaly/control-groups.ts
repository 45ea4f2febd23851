import type { ChooseControlGroup } from '#git/command/git';
import { ControlGroups } from '#platform/cgroups/control-groups';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';

/** Separates the storage's name from the path, and the words of a command without a repository. */
const SEPARATOR = '/';

/**
 * Creates the control groups of the configuration; `undefined` if there are none.
 *
 * @throws {Error} `failed setting up cgroups: …`
 */
export function startControlGroups({ cgroups }: GitalyConfig, logger: Logger): ControlGroups | undefined {
  if (cgroups.repositories.count < 1) {
    if (cgroups.cpuShares > 0 || cgroups.memoryBytes > 0) {
      logger.warn(
        'cgroups repositories.count value was not configured or set to 0. Cgroup support will be disabled. ' +
          'Please set a positive value for repositories.count',
      );
    }
    return undefined;
  }
  const startedAt = performance.now();
  const groups = ControlGroups.create(cgroups, {
    onProblem: (path, error) => logger.error({ path, error }, 'failed to clean up cgroups'),
  });
  if (groups === undefined) {
    const { mountpoint } = cgroups;
    logger.warn({ mountpoint }, 'there are no control groups at the mount point: git runs without limits');
    return undefined;
  }
  const durationMs = Math.round(performance.now() - startedAt);
  logger.info({ duration_ms: durationMs, version: groups.version }, 'finished initializing cgroups');
  return groups;
}

/** Returns the choice of a group for each command: by storage and relative path, as Gitaly does. */
export function controlGroupOf(groups: ControlGroups, { storage }: GitalyConfig): ChooseControlGroup {
  return (argv, repository) => {
    if (repository === undefined) return groups.groupFor(argv.map(String).join(SEPARATOR));
    const found = storage.find(({ path }) => repository.path.startsWith(`${path}/`));
    const key = found && [found.name, repository.path.slice(found.path.length + 1)].join(SEPARATOR);
    return groups.groupFor(key ?? repository.path);
  };
}
