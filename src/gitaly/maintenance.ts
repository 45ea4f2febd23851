import { attempt } from '#base/attempt';
import { messageOf } from '#base/gitaly-error';
import { loadSensor } from '#calls/load-sensor';
import { dailyLog } from '#calls/logs/daily-log';
import { logFieldsOf, observeHousekeeping } from '#calls/logs/housekeeping-observer';
import { Housekeeping } from '#domain/housekeeping/housekeeping';
import { MaintenanceRuns, type RecordedRuns } from '#domain/housekeeping/maintenance-runs';
import type { HousekeepingObserver } from '#domain/housekeeping/observer';
import { BackgroundMaintenance } from '#domain/housekeeping/schedule/background-maintenance';
import { startDailyMaintenance } from '#domain/housekeeping/schedule/daily-maintenance';
import type { GitalyConfig } from '#platform/config/load-config';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { Storages } from '#storage/storages';
import type { Link } from '#workers/link';
import { settingsMarks } from './archive.ts';
import { answerForMaintenance, remoteMaintenanceRuns } from './family/remote-maintenance-runs.ts';
import {
  answerForLoad,
  answerForScheduler,
  familySensor,
  remoteScheduler,
} from './family/remote-scheduler.ts';
import type { Foundation } from './foundation.ts';

/** Maintenance of a server. Disposing stops the background work. */
export interface ServerMaintenance extends AsyncDisposable {
  readonly housekeeping: Housekeeping;
  /** `undefined` if nothing starts after writes. */
  readonly scheduler: MaintenanceScheduler | undefined;
}

export interface MaintenanceOptions
  extends Pick<Foundation, 'config' | 'metrics' | 'logger' | 'calls' | 'family'> {
  readonly storages: Storages;
}

/** Creates the maintenance of a server and starts the daily one. */
export function startMaintenance(parts: MaintenanceOptions): ServerMaintenance {
  const { config, storages, metrics, logger, family } = parts;
  const resources = new AsyncDisposableStack();
  const observer = withMarks(observeHousekeeping(metrics.housekeeping, logger), config);
  if (family?.role === 'worker') return workerMaintenance(parts, family.link, observer);
  const runs = new MaintenanceRuns();
  const housekeeping = new Housekeeping(runs, observer);
  if (!config.dailyMaintenance.disabled) resources.use(startDaily(parts, housekeeping));
  const background = config.housekeeping.automatic
    ? resources.use(startBackground(parts, housekeeping))
    : undefined;
  const scheduler: MaintenanceScheduler | undefined = background && {
    isRunning: isRunningIn(runs, storages),
    afterWrite: (target, options) => background.afterWrite(target, options),
    onRead: (target) => background.onRead(target),
  };
  if (family !== undefined) {
    answerForMaintenance(family.desk, runs);
    if (scheduler !== undefined) answerForScheduler(family.desk, scheduler);
  }
  return {
    housekeeping,
    scheduler,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Marks repositories whose configuration maintenance has cleaned, for archives. */
function withMarks(observer: HousekeepingObserver, config: GitalyConfig): HousekeepingObserver {
  const marks = settingsMarks(config);
  if (marks === undefined) return observer;
  return {
    ...observer,
    onStaleDataRemoved: (repository, counts) => {
      observer.onStaleDataRemoved(repository, counts);
      marks.changed(repository);
    },
  };
}

/** Returns the maintenance of a worker. The supervisor starts the automatic maintenance. */
function workerMaintenance(
  { calls, config, storages }: MaintenanceOptions,
  link: Link,
  observer: HousekeepingObserver,
): ServerMaintenance {
  const runs = remoteMaintenanceRuns(link);
  answerForLoad(link, calls);
  return {
    housekeeping: new Housekeeping(runs, observer),
    scheduler: config.housekeeping.automatic
      ? { isRunning: isRunningIn(runs, storages), ...remoteScheduler(link) }
      : undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function isRunningIn(runs: RecordedRuns, storages: Storages): MaintenanceScheduler['isRunning'] {
  return (target) => {
    // On failure: the handler responds with the reason
    return attempt(() => runs.isRunning(storages.locate(target))) ?? false;
  };
}

function startBackground(
  { storages, logger, calls, family, metrics }: MaintenanceOptions,
  housekeeping: Housekeeping,
): BackgroundMaintenance {
  return new BackgroundMaintenance({
    storages,
    housekeeping,
    sensor: family?.role === 'supervisor' ? familySensor(loadSensor(calls), family) : loadSensor(calls),
    onProblem: (error) =>
      logger.warn({ error: messageOf(error) }, 'could not measure the load for housekeeping'),
    onCounted: (repository, { directories, files }) =>
      logger.info(
        {
          ...logFieldsOf(repository),
          repository_stats: { directory_count: directories, file_count: files },
        },
        'collected repository statistics',
      ),
    onBegin: (repository, tasks, { waitedMs, reason, waitedFor }) => {
      metrics.housekeeping.wait.with({ reason }).observe(waitedMs / 1000);
      logger.info(
        {
          ...logFieldsOf(repository),
          operations: [...tasks],
          waited_ms: Math.round(waitedMs),
          start_reason: reason,
          ...(waitedFor !== undefined && { waited_for: waitedFor }),
        },
        'beginning scheduled housekeeping',
      );
    },
    onGiveWay: (repository) => {
      metrics.housekeeping.gaveWay.inc();
      logger.info(logFieldsOf(repository), 'scheduled housekeeping gives way to calls');
    },
    onEnd: (repository, error) => {
      if (error === undefined) logger.info(logFieldsOf(repository), 'ended scheduled housekeeping');
      else
        logger.error(
          { ...logFieldsOf(repository), error: messageOf(error) },
          'failed scheduled housekeeping',
        );
    },
  });
}

function startDaily(
  { config, storages, logger }: MaintenanceOptions,
  housekeeping: Housekeeping,
): AsyncDisposable {
  const { storages: names, ...window } = config.dailyMaintenance;
  return startDailyMaintenance({ storages, housekeeping, window, names, observer: dailyLog(logger, window) });
}
