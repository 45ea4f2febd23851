import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { BackgroundJobsObserver } from '#storage/background-jobs';

/** Returns observers that log background jobs, with Gitaly's texts and fields where it has them. */
export function logBackgroundJobs(
  logger: Logger,
): Pick<BackgroundJobsObserver, 'onCounted' | 'onFailed' | 'onRemoved' | 'onTempCleaned'> {
  return {
    onFailed: (job, error) => logger.error({ error: messageOf(error), job }, 'background job failed'),
    onTempCleaned: ({ name }, ms) =>
      logger.info({ storage: name, time_ms: Math.round(ms) }, 'finished tempdir cleaner walk'),
    onRemoved: ({ name }, paths) =>
      logger.info({ storage: name, removed: paths }, 'removed files left by crashed processes'),
    onCounted: ({ path }, ms) =>
      logger.info(
        { storage_path: path, counting_duration_ms: Math.round(ms) },
        'completed counting repositories',
      ),
  };
}
