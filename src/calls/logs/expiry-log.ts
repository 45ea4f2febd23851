import { messageOf } from '#base/gitaly-error';
import type { ExpiryObserver } from '#domain/lifetimes/remove-expired';
import type { Logger } from '#platform/log/logger';
import { logFieldsOf } from './housekeeping-observer.ts';

/** Number of names of removed references in a log line. */
const MAX_NAMES = 20;

/** Returns an observer that logs what was removed at the end of its time. */
export function logExpiry(logger: Logger): ExpiryObserver {
  return {
    onExpired(repository, references) {
      if (references.length === 0) logger.info(logFieldsOf(repository), 'removed repository at its end');
      else
        logger.info(
          {
            ...logFieldsOf(repository),
            references: references.slice(0, MAX_NAMES).map(String),
            reference_count: references.length,
          },
          'removed references at their end',
        );
    },
    onFailed: (relativePath, error) =>
      logger.error(
        { relative_path: relativePath, error: messageOf(error) },
        'failed to remove what has come to its end',
      ),
  };
}
