import type { BackupRun } from './catalog.ts';

/** Numbers of runs to keep: the newest ones, and the newest of each day, week and so on. */
export interface Retention {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday; weeks begin on Monday, as in ISO 8601. */
const MONDAY_DAYS = 3;

/** The period of a time, in UTC, for each kind. */
const PERIODS = {
  daily: (ms) => String(Math.floor(ms / DAY_MS)),
  weekly: (ms) => String(Math.floor((Math.floor(ms / DAY_MS) + MONDAY_DAYS) / 7)),
  monthly: (ms) => new Date(ms).toISOString().slice(0, 'YYYY-MM'.length),
  yearly: (ms) => new Date(ms).toISOString().slice(0, 'YYYY'.length),
} as const satisfies Record<Exclude<keyof Retention, 'last'>, (ms: number) => string>;

/**
 * Returns the ids of the runs to keep. Only runs that came to their end count, and the newest of
 * them is always kept; one that did not end is kept while it is the newest run.
 *
 * @param runs the oldest first.
 */
export function keptRuns(runs: readonly BackupRun[], retention: Retention): ReadonlySet<string> {
  const ended = runs.filter(({ isEnded }) => isEnded).reverse();
  const kept = new Set(ended.slice(0, Math.max(retention.last, 1)).map(({ id }) => id));
  const newest = runs.at(-1);
  if (newest !== undefined) kept.add(newest.id);
  for (const kind of ['daily', 'weekly', 'monthly', 'yearly'] as const) {
    const seen = new Set<string>();
    for (const { id, modifiedMs } of ended) {
      const period = PERIODS[kind](modifiedMs);
      if (seen.has(period) || seen.size === retention[kind]) continue;
      seen.add(period);
      kept.add(id);
    }
  }
  return kept;
}
