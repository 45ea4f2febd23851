import type { Counter, Histogram, MetricsRegistry } from './metrics-registry.ts';

/** Metrics of maintenance, with Gitaly's names. */
export interface HousekeepingMetrics {
  task(task: string, status: 'success' | 'failure'): Counter;
  latency(task: string): Histogram;
  prunedFiles(fileType: string): Counter;
  existence(dataStructure: string, exists: boolean): Counter;
  structureCount(dataStructure: string): Histogram;
  structureSize(dataStructure: string): Histogram;
  sinceOptimization(dataStructure: string): Histogram;
  /** Time for which automatic maintenance was due, in seconds. */
  wait(reason: 'quiet' | 'overdue'): Histogram;
  /** Automatic maintenance that left steps for another quiet moment. */
  readonly gaveWay: Counter;
}

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

export function housekeepingMetrics(
  registry: MetricsRegistry,
  { latencyBuckets }: { readonly latencyBuckets: readonly number[] },
): HousekeepingMetrics {
  const tasks = registry.counter({
    name: 'gitaly_housekeeping_tasks_total',
    help: 'Total number of housekeeping tasks performed in the repository',
    labels: ['housekeeping_task', 'status'],
  });
  const latency = registry.histogram({
    name: 'gitaly_housekeeping_tasks_latency',
    help: 'Latency of the housekeeping tasks performed',
    labels: ['housekeeping_task', 'stage'],
    buckets: latencyBuckets,
  });
  const pruned = registry.counter({
    name: 'gitaly_housekeeping_pruned_files_total',
    help: 'Total number of files pruned',
    labels: ['filetype'],
  });
  const existence = registry.counter({
    name: 'gitaly_housekeeping_data_structure_existence_total',
    help: 'Total number of data structures that exist in the repository',
    labels: ['data_structure', 'exists'],
  });
  const count = registry.histogram({
    name: 'gitaly_housekeeping_data_structure_count',
    help: 'Total count of the data structures that exist in the repository',
    labels: ['data_structure'],
    buckets: exponentialBuckets(MAX_COUNT),
  });
  const size = registry.histogram({
    name: 'gitaly_housekeeping_data_structure_size',
    help: 'Total size of the data structures that exist in the repository',
    labels: ['data_structure'],
    buckets: exponentialBuckets(MAX_SIZE_BYTES),
  });
  const since = registry.histogram({
    name: 'gitaly_housekeeping_time_since_last_optimization_seconds',
    help: 'Absolute time in seconds since a given optimization has last been performed',
    labels: ['data_structure'],
    buckets: SINCE_BUCKETS,
  });
  return {
    ...scheduleMetrics(registry),
    task: (task, status) => tasks.with({ housekeeping_task: task, status }),
    latency: (task) => latency.with({ housekeeping_task: task, stage: 'apply' }),
    prunedFiles: (fileType) => pruned.with({ filetype: fileType }),
    existence: (dataStructure, exists) =>
      existence.with({ data_structure: dataStructure, exists: String(exists) }),
    structureCount: (dataStructure) => count.with({ data_structure: dataStructure }),
    structureSize: (dataStructure) => size.with({ data_structure: dataStructure }),
    sinceOptimization: (dataStructure) => since.with({ data_structure: dataStructure }),
  };
}

function scheduleMetrics(registry: MetricsRegistry): Pick<HousekeepingMetrics, 'gaveWay' | 'wait'> {
  const wait = registry.histogram({
    name: 'gitaly_ts_housekeeping_wait_seconds',
    help: 'Time for which automatic maintenance waited, by why it started.',
    labels: ['reason'],
    buckets: WAIT_BUCKETS,
  });
  const gaveWay = registry.counter({
    name: 'gitaly_ts_housekeeping_gave_way_total',
    help: 'Runs of automatic maintenance that left steps for another quiet moment.',
  });
  return { wait: (reason) => wait.with({ reason }), gaveWay: gaveWay.with({}) };
}

/** Returns bounds from 1 to a maximum, each the same multiple of the one before. */
function exponentialBuckets(max: number): number[] {
  return Array.from({ length: STRUCTURE_BUCKETS }, (_, index) => max ** (index / (STRUCTURE_BUCKETS - 1)));
}
