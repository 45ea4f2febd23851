import type { Logger } from '../log/logger.ts';
import { type ControlGroupSettings, ControlGroups } from './control-groups.ts';

/**
 * Creates the control groups of the configuration; `undefined` if there are none.
 *
 * @param supervisor process id of the process of this server that has created them, in a worker.
 * @throws {Error} `failed setting up cgroups: …`
 */
export function startControlGroups(
  cgroups: ControlGroupSettings,
  logger: Logger,
  supervisor?: number,
): ControlGroups | undefined {
  if (supervisor !== undefined && cgroups.repositories.count > 0)
    return ControlGroups.create(cgroups, { pid: supervisor, isShared: true, onProblem: () => {} });
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
