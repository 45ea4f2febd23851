import { messageOf } from '#base/gitaly-error';
import { formatGoDuration } from '#base/go/duration';
import type { DailyObserver } from '#domain/housekeeping/schedule/daily-maintenance';
import type { DailyWindow } from '#domain/housekeeping/schedule/daily-window';
import type { Logger } from '#platform/log/logger';

/** Returns an observer that logs daily maintenance with Gitaly's texts and fields. */
export function dailyLog(logger: Logger, { durationMs }: Pick<DailyWindow, 'durationMs'>): DailyObserver {
  const max_duration = formatGoDuration(durationMs);
  return {
    scheduled: (start) => logger.info({ scheduled: start.toISOString() }, 'maintenance: daily scheduled'),
    started: () => logger.info({ max_duration }, 'maintenance: daily starting'),
    optimized: (repository, { startedAt, error }) => {
      const fields = {
        relative_path: repository.target.relativePath,
        storage: repository.target.storageName,
        source: 'maintenance.daily',
        start_time: startedAt.toISOString(),
        time_ms: Date.now() - startedAt.getTime(),
      };
      if (error === undefined) logger.info(fields, 'maintenance: repo optimization succeeded');
      else logger.error({ ...fields, error: messageOf(error) }, 'maintenance: repo optimization failure');
    },
    completed: ({ repositories, startedAt, error }) => {
      const fields = {
        actual_duration: formatGoDuration(Date.now() - startedAt.getTime()),
        max_duration,
        ...(repositories !== undefined && { repositories }),
      };
      if (error === undefined) logger.info(fields, 'maintenance: daily completed');
      else logger.error({ ...fields, error: messageOf(error) }, 'maintenance: daily completed');
    },
  };
}
