import { logBackgroundJobs } from '#calls/logs/background-jobs-log';
import { startBackgroundJobs } from '#storage/background-jobs';
import type { Storages } from '#storage/storages';
import type { Foundation } from './foundation.ts';
import { type ServerMaintenance, startMaintenance } from './maintenance.ts';
import { openStorages } from './open-storages.ts';

/** The repositories of a server, and what works on them without a call. */
export interface Repositories {
  readonly storages: Storages;
  readonly maintenance: ServerMaintenance;
  /** Starts to remove what dead processes have left in repositories. A worker leaves that to its supervisor. */
  readonly cleanAfterTheDead: () => void;
}

/** Opens the storages and starts their maintenance and background jobs. `resources` ends them. */
export async function openRepositories(
  { calls, config, family, git, logger, metrics }: Foundation,
  resources: AsyncDisposableStack,
): Promise<Repositories> {
  const { storages, caches } = await openStorages(git, { config, metrics, logger, family });
  resources.use(caches);
  const maintenance = resources.use(startMaintenance({ calls, config, family, storages, metrics, logger }));
  if (family?.role === 'worker') return { storages, maintenance, cleanAfterTheDead: () => {} };
  const jobs = resources.use(
    startBackgroundJobs(storages, {
      ...logBackgroundJobs(logger),
      onStep: metrics.caches.walked,
      onLeftover: (kind) => metrics.housekeeping.prunedFiles(kind).inc(),
    }),
  );
  return { storages, maintenance, cleanAfterTheDead: () => jobs.cleanAfterTheDead() };
}
