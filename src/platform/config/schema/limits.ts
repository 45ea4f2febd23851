import { duration, flag, float, integer, table, text } from '../keys.ts';

/**
 * Returns the keys of a limiter, shared by `[[concurrency]]`, `[pack_objects_limiting]` and their
 * `unauthenticated` tables.
 */
export function concurrencyLimits(defaults: { max: number; queue: number }) {
  return {
    max_concurrency: integer({
      doc: 'Maximum number of concurrent calls for one repository. 0 means no limit.',
      default: defaults.max,
      accepted: 'a whole number, 0 or greater',
    }),
    max_per_repo: integer({
      doc: 'Old name of max_concurrency.',
      default: 0,
      accepted: 'a whole number, 0 or greater',
    }),
    max_queue_size: integer({
      doc: 'Maximum number of waiting calls. Further calls are refused with RESOURCE_EXHAUSTED.',
      default: defaults.queue,
      accepted: 'a whole number greater than 0',
    }),
    max_queue_length: integer({
      doc: 'Old name of max_queue_size.',
      default: 0,
      accepted: 'a whole number greater than 0',
    }),
    max_queue_wait: duration({
      doc: 'Longest wait in the queue. 0s means no limit.',
      defaultMs: 0,
      accepted: 'a duration in quotes, "0s" or longer',
    }),
    adaptive: flag({
      doc: 'Adapt the limit to the load: raise it by one every 30 seconds, halve it under overload.',
    }),
    initial_limit: integer({
      doc: 'Initial adaptive limit.',
      default: 0,
      accepted: 'a whole number from min_limit to max_limit',
    }),
    max_limit: integer({
      doc: 'Maximum adaptive limit.',
      default: 0,
      accepted: 'a whole number, initial_limit or greater',
    }),
    min_limit: integer({
      doc: 'Minimum adaptive limit.',
      default: 0,
      accepted: 'a whole number greater than 0',
    }),
  };
}

/** Returns the keys of a cache of streams. */
export function cacheTable(defaults: { backpressure: boolean; minOccurrences: number; name: string }) {
  return {
    enabled: flag({
      doc: 'Keep responses. Without it, only identical requests under way share one.',
    }),
    backpressure: flag({
      doc: 'Slow the producer down when it is 256 MiB ahead of its fastest reader.',
      default: defaults.backpressure,
    }),
    dir: text({
      doc: `Directory. Default: +gitaly/${defaults.name} in the first storage.`,
      accepted: 'an absolute path outside the storages',
    }),
    max_age: duration({
      doc: 'Age at which an entry is removed. 0s means 5m.',
      defaultMs: 0,
      accepted: 'a duration in quotes, "0s" or longer',
    }),
    min_occurrences: integer({
      doc: 'Number of identical requests before a response is cached.',
      default: defaults.minOccurrences,
    }),
    max_size_bytes: integer({
      doc:
        'Limit of all files. 0 means a tenth of the file system. Beyond it the oldest entries are ' +
        'removed. Not in Gitaly.',
      default: 0,
      type: 'int64',
    }),
  };
}

/** Thresholds of Gitaly in percent. They also replace numbers that are not positive. */
export const PRESSURE_DEFAULTS = {
  memory: { warning: 10, backoff: 20, critical: 40 },
  io: { warning: 10, backoff: 20, critical: 40 },
  cpu: { warning: 20, backoff: 25, critical: 50 },
} as const;

/** Returns the keys of one kind of pressure. */
export function pressure(defaults: { warning: number; backoff: number; critical: number }) {
  return {
    enabled: flag({ doc: 'Observe this pressure.' }),
    warning_threshold: float({
      doc: 'Percentage above which the pressure is logged.',
      default: defaults.warning,
    }),
    backoff_threshold: float({
      doc: 'Percentage above which limits are lowered.',
      default: defaults.backoff,
    }),
    critical_threshold: float({
      doc: 'Percentage above which the pressure is critical.',
      default: defaults.critical,
    }),
    sustain_duration_seconds: integer({
      doc: 'Seconds after which the log calls a pressure above backoff_threshold sustained.',
      default: 30,
    }),
    fast_fall_ratio: float({
      doc: 'Share of the previous value below which the log calls a pressure rapidly falling.',
      default: 0.85,
    }),
  };
}

/** Default mount point of control groups on Linux. */
export const DEFAULT_MOUNT_POINT = '/sys/fs/cgroup';

/** `[cgroups]`, with the keys of older versions. */
export const cgroupsTable = table('Control groups for git processes.', {
  mountpoint: text({
    doc: 'Mount point of the control groups.',
    default: DEFAULT_MOUNT_POINT,
    accepted: 'a directory with control groups, usually "/sys/fs/cgroup"',
  }),
  hierarchy_root: text({ doc: 'Control group of the server.', default: 'gitaly' }),
  memory_bytes: integer({
    doc: 'Memory of all git processes. 0 means no limit.',
    default: 0,
    type: 'int64',
  }),
  cpu_shares: integer({ doc: 'Weight of all git processes. 0 means none.', default: 0, type: 'uint64' }),
  cpu_quota_us: integer({
    doc: 'Microseconds of processor time per 100 ms. 0 means no limit.',
    default: 0,
    type: 'int64',
  }),
  metrics_enabled: flag({
    doc: 'Export metrics of the groups.',
    noEffect: 'metrics of control groups (version 2) are always exported, as in Gitaly 19.0',
  }),
  repositories: table('Groups among which repositories are distributed.', {
    count: integer({ doc: 'Number of groups. 0 means none.', default: 0, type: 'uint' }),
    max_cgroups_per_repo: integer({
      doc: 'Maximum number of groups that one repository uses.',
      default: 0,
      type: 'uint',
    }),
    memory_bytes: integer({ doc: 'Memory of one group. 0 means no limit.', default: 0, type: 'int64' }),
    cpu_shares: integer({ doc: 'Weight of one group. 0 means none.', default: 0, type: 'uint64' }),
    cpu_quota_us: integer({
      doc: 'Microseconds of processor time per 100 ms. 0 means no limit.',
      default: 0,
      type: 'int64',
    }),
  }),
  count: integer({ doc: 'Old name of repositories.count.', default: 0, type: 'uint' }),
  memory: table('Old form of repositories.memory_bytes.', {
    enabled: flag({ doc: 'Enable it.' }),
    limit: integer({ doc: 'Bytes.', default: 0, type: 'int64' }),
  }),
  cpu: table('Old form of repositories.cpu_shares.', {
    enabled: flag({ doc: 'Enable it.' }),
    shares: integer({ doc: 'Weight.', default: 0, type: 'uint64' }),
  }),
});
