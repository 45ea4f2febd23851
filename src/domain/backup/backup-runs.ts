/** The backup of the repositories of a storage, or of some of them. */
export interface BackupRun {
  /** Name of the backup. */
  readonly id: string;
  /** Program that has made it over RPC; empty for the server itself. */
  readonly program: string;
  /** Time of its last repository, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Repositories that were stored, or had nothing to store. */
  readonly repositories: number;
  readonly failed: number;
  /** The last failure, if it is known. */
  readonly failure?: { readonly repository: string; readonly problem: string; readonly timeMs: number };
  readonly isEnded: boolean;
}

/** Number of backups of a program that are kept in addition to the last one without a failure. */
const MAX_RUNS = 4;
/**
 * Number of programs of a storage whose backups are kept; those with the oldest backups are
 * forgotten.
 */
const MAX_PROGRAMS = 8;

/**
 * Merges the runs of several processes or nodes, by program and id. Each process counts the
 * repositories that it has stored itself; the report of a program covers all repositories, and
 * several processes may have it.
 */
export function mergeRuns(all: readonly BackupRun[]): BackupRun[] {
  const merged = new Map<string, BackupRun>();
  for (const run of all) {
    const key = JSON.stringify([run.program, run.id]);
    const known = merged.get(key);
    merged.set(key, known === undefined ? run : merge(known, run));
  }
  return [...merged.values()];
}

function merge(one: BackupRun, other: BackupRun): BackupRun {
  const latest = one.timeMs < other.timeMs ? other : one;
  if (one.program !== '') return latest;
  const [failure] = [one.failure, other.failure]
    .filter((each) => each !== undefined)
    .sort((a, b) => b.timeMs - a.timeMs);
  return {
    ...latest,
    repositories: one.repositories + other.repositories,
    failed: one.failed + other.failed,
    ...(failure && { failure }),
    isEnded: one.isEnded || other.isEnded,
  };
}

/**
 * Returns the runs that a process keeps: enough for {@link lastRuns} of all processes and nodes.
 */
export function keptRuns(runs: readonly BackupRun[]): BackupRun[] {
  return byProgram(runs).flatMap((each) => {
    const [latest, rest] = [each.slice(0, MAX_RUNS), each.slice(MAX_RUNS)];
    return latest.some(isComplete) ? latest : [...latest, ...rest.filter(isComplete).slice(0, 1)];
  });
}

/**
 * Returns the last backups, the latest first: of each program the last one, and the last one
 * without a failure.
 */
export function lastRuns(runs: readonly BackupRun[]): BackupRun[] {
  return byProgram(runs.filter((run) => !isMark(run)))
    .flatMap(([latest, ...others]) => {
      if (latest === undefined) return [];
      const isGood = latest.isEnded && latest.failed === 0;
      return isGood ? [latest] : [latest, ...others.filter(isComplete).slice(0, 1)];
    })
    .sort((one, other) => other.timeMs - one.timeMs);
}

/** Returns the backups of each program, the latest first. */
function byProgram(runs: readonly BackupRun[]): BackupRun[][] {
  const latestFirst = runs.toSorted((one, other) => other.timeMs - one.timeMs);
  return [...Map.groupBy(latestFirst, ({ program }) => program).values()].slice(0, MAX_PROGRAMS);
}

/**
 * Reports whether nothing failed. A later one has started, so this one has ended, also without
 * a written id.
 */
function isComplete(run: BackupRun): boolean {
  return run.failed === 0 && !isMark(run) && (run.isEnded || run.repositories > 0);
}

/** Reports whether another process, another node or no one has stored the repositories of an id. */
function isMark({ failed, program, repositories }: BackupRun): boolean {
  return program === '' && repositories === 0 && failed === 0;
}
