import { BoundedMap } from '#base/memory/bounded-map';
import type { MaintenanceTask } from '../plan.ts';

/** Number of repositories with counted writes; those with the oldest writes are forgotten. */
const MAX_REPOSITORIES = 10_000;

/**
 * Writes after which a task may be needed. Each leaves a loose reference, so these come first;
 * objects are packed when there are packs to combine.
 */
const WRITES_BETWEEN_RUNS: Readonly<Record<MaintenanceTask, number>> = {
  packReferences: 10,
  repack: 20,
  prune: 20,
  commitGraph: 20,
};
/** Files and directories of a repository beyond which a task may be needed. */
const ENTRIES: Readonly<Record<MaintenanceTask, number>> = {
  packReferences: 500,
  repack: 1000,
  prune: 1000,
  commitGraph: 1000,
};
const TASKS: readonly MaintenanceTask[] = ['packReferences', 'repack', 'prune', 'commitGraph'];

/** Number of entries beyond which counting more changes nothing. */
export const ENOUGH_ENTRIES = Math.max(...Object.values(ENTRIES)) + 1;

interface Activity {
  writes: number;
  /** Number of writes at the last start of a task. */
  readonly atLastRun: Record<MaintenanceTask, number>;
}

/** Counts writes of repositories, and decides after which one maintenance starts. */
export class WriteCounts {
  readonly #activities = new BoundedMap<string, Activity>({ maxEntries: MAX_REPOSITORIES });

  /** Counts a write. @returns the tasks that are due, also when they were not started before. */
  countWrite(key: string): ReadonlySet<MaintenanceTask> {
    const activity = this.#activities.get(key) ?? {
      writes: 0,
      atLastRun: { packReferences: 0, repack: 0, prune: 0, commitGraph: 0 },
    };
    activity.writes++;
    this.#activities.set(key, activity);
    return new Set(
      TASKS.filter((task) => activity.writes - activity.atLastRun[task] > WRITES_BETWEEN_RUNS[task]),
    );
  }

  /** Records that tasks have been started. */
  started(key: string, tasks: ReadonlySet<MaintenanceTask>): void {
    const activity = this.#activities.get(key);
    if (activity !== undefined) for (const task of tasks) activity.atLastRun[task] = activity.writes;
  }
}

/**
 * Returns the tasks that may be needed in a repository with these numbers of files and directories.
 */
export function tasksForEntries(entries: number): ReadonlySet<MaintenanceTask> {
  return new Set(TASKS.filter((task) => entries > ENTRIES[task]));
}

export function allTasks(): ReadonlySet<MaintenanceTask> {
  return new Set(TASKS);
}
