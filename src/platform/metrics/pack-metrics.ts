import { counter, gauge, histogram } from './metric.ts';
import { type Counter, GO_BUCKETS, type MetricsRegistry, type Observers } from './metrics-registry.ts';

/** Kinds of limits of packs, in the label `auth`. */
type PackLimitKind = 'authenticated' | 'unauthenticated';

/** 1, 10, … 1e9. */
const STATISTICS_BUCKETS = Array.from({ length: 10 }, (_, exponent) => 10 ** exponent);

/** Packs and their limits, with Gitaly's names. */
export const PACKS = {
  lookups: counter(
    'gitaly_pack_objects_cache_lookups_total',
    ['result'],
    'Number of lookups in the PackObjectsHook cache, divided by hit/miss',
    { shown: { title: 'Packs of clones', kind: 'cache' } },
  ),
  generated: counter(
    'gitaly_pack_objects_generated_bytes_total',
    [],
    'Number of bytes generated in PackObjectsHook by running git-pack-objects',
  ),
  served: counter(
    'gitaly_pack_objects_served_bytes_total',
    [],
    'Number of bytes of git-pack-objects data served to clients',
  ),
  stages: histogram(
    'gitaly_pack_objects_stages_seconds',
    ['stage'],
    'Time of pack-objects command on different stage',
    GO_BUCKETS,
  ),
  statistics: histogram(
    'gitaly_pack_objects_stats',
    ['type'],
    'Various statistics about pack-objects',
    STATISTICS_BUCKETS,
  ),
  inProgress: gauge(
    'gitaly_pack_objects_in_progress',
    ['auth'],
    'Gauge of number of concurrent in-progress calls',
  ),
  queued: gauge('gitaly_pack_objects_queued', ['auth'], 'Gauge of number of queued calls'),
  acquiring: histogram(
    'gitaly_pack_objects_acquiring_seconds',
    ['auth'],
    'Histogram of time calls are rate limited (in seconds)',
  ),
  dropped: counter(
    'gitaly_pack_objects_dropped_total',
    ['auth', 'reason'],
    'Number of requests dropped from the queue',
  ),
};

/** The limit of all packs, which Gitaly does not have. */
export const ALL_PACKS = {
  inProgress: gauge('gitaly_ts_packs_in_progress', [], 'Packs that are being made.'),
  queued: gauge('gitaly_ts_packs_queued', [], 'Packs that wait for the limit of all packs.'),
  acquiring: histogram(
    'gitaly_ts_packs_acquiring_seconds',
    [],
    'Time that packs waited for the limit of all packs.',
  ),
  dropped: counter('gitaly_ts_packs_dropped_total', ['reason'], 'Packs that the limit of all packs refused.'),
};

/** Caches of streams, with Gitaly's names. */
export const STREAM_CACHES = {
  pack_objects: gauge(
    'gitaly_pack_objects_cache_enabled',
    ['dir', 'max_age'],
    'Whether the cache keeps streams, and where.',
    { isOfServer: true },
  ),
  archive: gauge(
    'gitaly_archive_cache_enabled',
    ['dir', 'max_age'],
    'Whether the cache keeps streams, and where.',
    { isOfServer: true },
  ),
  entries: gauge(
    'gitaly_streamcache_index_entries',
    ['cache_name', 'dir'],
    'Number of index entries in streamcache',
  ),
  usage: gauge('gitaly_streamcache_filestore_disk_usage_bytes', ['dir'], 'Disk usage per filestore'),
  removed: counter(
    'gitaly_streamcache_filestore_removed_total',
    ['dir'],
    'Number of files removed from streamcache via file walks',
  ),
  /** Streams are copied by this process, which shares them in memory; dashboards read the name. */
  sent: counter('gitaly_streamcache_sendfile_bytes_total', [], 'Number of bytes sent using sendfile'),
};

export type PackMetrics = ReturnType<typeof packMetrics>;

/** Declares the metrics of packs and of caches of streams. */
export function packMetrics(
  registry: MetricsRegistry,
  { latencyBuckets }: { readonly latencyBuckets: readonly number[] },
) {
  const packs = registry.declare(PACKS, latencyBuckets);
  const all = registry.declare(ALL_PACKS, latencyBuckets);
  const caches = registry.declare(STREAM_CACHES);
  const limitOf = ({ acquiring, dropped, inProgress, queued }: LimitSeries) => ({
    queued: (change: 1 | -1) => queued.inc(change),
    running: (change: 1 | -1) => inProgress.inc(change),
    acquired: (seconds: number) => acquiring.observe(seconds),
    dropped: (reason: string) => dropped(reason).inc(),
  });
  const ofCaller = (auth: PackLimitKind) =>
    limitOf({
      acquiring: packs.acquiring.with({ auth }),
      inProgress: packs.inProgress.with({ auth }),
      queued: packs.queued.with({ auth }),
      dropped: (reason) => packs.dropped.with({ auth, reason }),
    });
  return {
    limits: {
      authenticated: ofCaller('authenticated'),
      unauthenticated: ofCaller('unauthenticated'),
      total: limitOf({ ...all, dropped: (reason) => all.dropped.with({ reason }) }),
    },
    looked: (result: 'hit' | 'miss') => packs.lookups.with({ result }).inc(),
    generated: (bytes: number) => packs.generated.inc(bytes),
    served: (bytes: number) => packs.served.inc(bytes),
    stage: (stage: string, seconds: number) => packs.stages.with({ stage }).observe(seconds),
    /** Observes a number of git about a pack. */
    statistic: (type: string, value: number) => packs.statistics.with({ type }).observe(value),
    /** Reports a cache that keeps streams. */
    cacheEnabled: (cache: 'pack_objects' | 'archive', dir: string, maxAgeMs: number) =>
      caches[cache].with({ dir, max_age: String(Math.round(maxAgeMs / 1000)) }).set(1),
    streamCache: (name: string, dir: string) => {
      const entries = caches.entries.with({ cache_name: name, dir });
      const [usage, removed] = [caches.usage.with({ dir }), caches.removed.with({ dir })];
      return {
        entries: (value: number) => entries.set(value),
        diskUsage: (value: number) => usage.set(value),
        fileRemoved: () => removed.inc(),
      };
    },
  };
}

interface LimitSeries extends Pick<Observers<typeof ALL_PACKS>, 'acquiring' | 'inProgress' | 'queued'> {
  readonly dropped: (reason: string) => Counter;
}
