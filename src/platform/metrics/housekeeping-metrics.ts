import { counter, histogram } from './metric.ts';
import type { Observers } from './metrics-registry.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Seconds, as Gitaly's. */
const SINCE_BUCKETS = [
  ...[1, 60, 300, 600, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 18 * HOUR],
  ...[DAY, 2 * DAY, 3 * DAY, 5 * DAY, 7 * DAY, 14 * DAY, 21 * DAY, 28 * DAY],
];
const WAIT_BUCKETS = [0.5, 1, 5, 10, 30, 60, 120, 300, 600];
const STRUCTURE_BUCKETS = 32;
const MAX_COUNT = 1e7;
const MAX_SIZE_BYTES = 5e10;

/** Maintenance, with Gitaly's names. */
export const HOUSEKEEPING = {
  tasks: counter(
    'gitaly_housekeeping_tasks_total',
    ['housekeeping_task', 'status'],
    'Total number of housekeeping tasks performed in the repository',
  ),
  latency: histogram(
    'gitaly_housekeeping_tasks_latency',
    ['housekeeping_task', 'stage'],
    'Latency of the housekeeping tasks performed',
  ),
  prunedFiles: counter(
    'gitaly_housekeeping_pruned_files_total',
    ['filetype'],
    'Total number of files pruned',
  ),
  existence: counter(
    'gitaly_housekeeping_data_structure_existence_total',
    ['data_structure', 'exists'],
    'Total number of data structures that exist in the repository',
  ),
  structureCount: histogram(
    'gitaly_housekeeping_data_structure_count',
    ['data_structure'],
    'Total count of the data structures that exist in the repository',
    exponentialBuckets(MAX_COUNT),
  ),
  structureSize: histogram(
    'gitaly_housekeeping_data_structure_size',
    ['data_structure'],
    'Total size of the data structures that exist in the repository',
    exponentialBuckets(MAX_SIZE_BYTES),
  ),
  sinceOptimization: histogram(
    'gitaly_housekeeping_time_since_last_optimization_seconds',
    ['data_structure'],
    'Absolute time in seconds since a given optimization has last been performed',
    SINCE_BUCKETS,
  ),
  wait: histogram(
    'gitaly_ts_housekeeping_wait_seconds',
    ['reason'],
    'Time for which automatic maintenance waited, by why it started.',
    WAIT_BUCKETS,
  ),
  gaveWay: counter(
    'gitaly_ts_housekeeping_gave_way_total',
    [],
    'Runs of automatic maintenance that left steps for another quiet moment.',
  ),
};

export type HousekeepingMetrics = Observers<typeof HOUSEKEEPING>;

/** Returns bounds from 1 to a maximum, each the same multiple of the one before. */
function exponentialBuckets(max: number): number[] {
  return Array.from({ length: STRUCTURE_BUCKETS }, (_, index) => max ** (index / (STRUCTURE_BUCKETS - 1)));
}
