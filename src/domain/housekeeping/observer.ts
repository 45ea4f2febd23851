import type { Repository } from '#storage/repository';
import type { RepositoryState } from './repository-state.ts';
import type { StaleDataCounts } from './stale-data/clean-stale-data.ts';

/** Steps of a run, as Gitaly's metric of latencies names them. */
export const HOUSEKEEPING_STEPS = [
  'clean-stale-data',
  'clean-worktrees',
  'repack',
  'prune',
  'pack-refs',
  'commit-graph',
  'total',
] as const;
export type HousekeepingStep = (typeof HOUSEKEEPING_STEPS)[number];

export type TaskStatus = 'success' | 'failure';

/** Result of a run, for the log and metrics. */
export interface HousekeepingReport {
  readonly status: TaskStatus;
  /** Tasks that were needed, by the names of Gitaly's metric, such as `packed_refs`. */
  readonly tasks: ReadonlyMap<string, TaskStatus>;
  /** Durations in milliseconds; a step that was not reached is missing. */
  readonly stepMs: ReadonlyMap<HousekeepingStep, number>;
}

/** Receives the steps of maintenance, for the log and metrics. */
export interface HousekeepingObserver {
  onMeasured(repository: Repository, state: RepositoryState): void;
  onStaleDataRemoved(repository: Repository, counts: StaleDataCounts): void;
  /** A stale file could not be removed. */
  onStaleDataLeft(repository: Repository, path: string, reason: string): void;
  onOptimized(repository: Repository, report: HousekeepingReport): void;
}

/** Ignores everything. */
export const NO_OBSERVER: HousekeepingObserver = {
  onMeasured() {},
  onStaleDataRemoved() {},
  onStaleDataLeft() {},
  onOptimized() {},
};
