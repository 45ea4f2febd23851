import type { StoredRun } from './catalog.ts';

/** Numbers of runs to keep: the newest ones, and the newest of each day, week and so on. */
export interface Retention {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

const DAY_MS = 86_400_000;
/** 1970-01-01 was a Thursday; weeks start on Monday, as in ISO 8601. */
const MONDAY_DAYS = 3;

/** The period of a time, in UTC, for each kind. */
const PERIODS = {
  daily: (ms) => String(Math.floor(ms / DAY_MS)),
  weekly: (ms) => String(Math.floor((Math.floor(ms / DAY_MS) + MONDAY_DAYS) / 7)),
  monthly: (ms) => new Date(ms).toISOString().slice(0, 'YYYY-MM'.length),
  yearly: (ms) => new Date(ms).toISOString().slice(0, 'YYYY'.length),
} as const satisfies Record<Exclude<keyof Retention, 'last'>, (ms: number) => string>;

/**
 * Returns the ids of the runs to keep. Only finished runs count. The newest finished run, and the
 * newest in which no repository failed, are always kept; an unfinished one is kept while it is the
 * newest run. For each period, the newest complete run is kept, or the newest one if none is
 * complete.
 *
 * @param runs the oldest first.
 */
export function keptRunIds(runs: readonly StoredRun[], retention: Retention): ReadonlySet<string> {
  const ended = runs.filter(({ isEnded }) => isEnded).reverse();
  const kept = new Set(ended.slice(0, Math.max(retention.last, 1)).map(({ id }) => id));
  for (const run of [runs.at(-1), bestOf(ended)]) if (run !== undefined) kept.add(run.id);
  for (const kind of ['daily', 'weekly', 'monthly', 'yearly'] as const) {
    const periods = Map.groupBy(ended, ({ modifiedMs }) => PERIODS[kind](modifiedMs));
    const best = periods.values().take(retention[kind]).map(bestOf);
    for (const run of best) if (run !== undefined) kept.add(run.id);
  }
  return kept;
}

/** @param ended the newest first. */
function bestOf(ended: readonly StoredRun[]): StoredRun | undefined {
  return ended.find(({ isPartial }) => !isPartial) ?? ended[0];
}
