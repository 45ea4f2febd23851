import { duration, flag, integer, table } from './keys.ts';

const DEFAULT_BYTES = 256 * 1024 * 1024;
const DEFAULT_AGE_MS = 7 * 24 * 3600 * 1000;

/** Settings of the change feed. */
export const eventsTable = table(
  'Change feed: an event for each change of a reference or repository. Not in Gitaly.',
  {
    enabled: flag({ doc: 'Enable it.', accepted: 'true needs workers.max = 1' }),
    max_bytes: integer({
      doc: 'Size of the journal of a storage. Beyond it the oldest events are removed.',
      default: DEFAULT_BYTES,
      type: 'int64',
      accepted: 'at least 65536',
    }),
    max_age: duration({
      doc: 'Age at which events are removed.',
      defaultMs: DEFAULT_AGE_MS,
      accepted: 'a duration in quotes, longer than "0s"',
    }),
  },
);
