/** How long the states of a repository are kept: `[archive]` of the configuration. */
export interface Retention {
  /** Time in which all generations are kept. */
  readonly keepAllMs: number;
  /** Numbers of hours, days and weeks before that, of each of which the last checkpoint is kept. */
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  /** Time after which a removed repository is deleted; 0 keeps it. */
  readonly removedMs: number;
}

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;

/** A checkpoint by its number, and when it was written. */
export interface DatedCheckpoint {
  readonly n: number;
  readonly timeMs: number;
}

export interface Kept {
  readonly checkpoints: ReadonlySet<number>;
  /** Generations from this one on are kept. */
  readonly from: number;
}

/**
 * Chooses the checkpoints to keep: those of the time in which all is kept, the last one before it,
 * from which the generations of that time start, and the last one of each hour, day and week.
 */
export function chooseKept(
  checkpoints: readonly DatedCheckpoint[],
  { keepAllMs, daily, hourly, weekly }: Retention,
  nowMs: number,
): Kept {
  const newestFirst = [...checkpoints].sort((one, other) => other.n - one.n);
  const base = newestFirst.find(({ timeMs }) => nowMs - timeMs >= keepAllMs);
  const kept = new Set<number>();
  for (const { n, timeMs } of newestFirst) if (nowMs - timeMs < keepAllMs) kept.add(n);
  if (base !== undefined) kept.add(base.n);
  for (const [unitMs, count] of [
    [HOUR_MS, hourly],
    [DAY_MS, daily],
    [7 * DAY_MS, weekly],
  ] as const) {
    const seen = new Set<number>();
    for (const { n, timeMs } of newestFirst) {
      const unit = Math.floor(timeMs / unitMs);
      if (nowMs - timeMs > unitMs * count || seen.has(unit)) continue;
      seen.add(unit);
      kept.add(n);
    }
  }
  return { checkpoints: kept, from: base?.n ?? 0 };
}
