import { duration, integer, table } from '../keys.ts';

const HOUR_MS = 3600_000;
const COUNT = 'a whole number, 0 or greater';

/** How long archives keep states. */
export const archiveTable = table(
  'How long the archives of storages keep the states of a repository. Not in Gitaly.',
  {
    keep_all: duration({
      doc: 'Time in which all states are kept.',
      defaultMs: 48 * HOUR_MS,
      example: '"48h"',
      accepted: 'a duration in quotes, at least "1h"',
    }),
    hourly: integer({
      doc: 'Number of hours before now, of each of which the last state is kept.',
      default: 72,
      type: 'uint',
      example: '72',
      accepted: COUNT,
    }),
    daily: integer({
      doc: 'Number of days before now, of each of which the last state is kept.',
      default: 30,
      type: 'uint',
      example: '30',
      accepted: COUNT,
    }),
    weekly: integer({
      doc: 'Number of weeks before now, of each of which the last state is kept.',
      default: 12,
      type: 'uint',
      example: '12',
      accepted: COUNT,
    }),
    removed: duration({
      doc: 'Time after which a removed repository is deleted from the archive. "0s" keeps it.',
      defaultMs: 90 * 24 * HOUR_MS,
      example: '"2160h"',
      accepted: 'a duration in quotes, at least "1h", or "0s" for no limit',
    }),
  },
);
