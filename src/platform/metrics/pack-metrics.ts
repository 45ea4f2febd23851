import type { MetricsRegistry } from './metrics-registry.ts';

/** Kinds of limits of packs, in the label `auth`. */
export type PackLimitKind = 'authenticated' | 'unauthenticated';

/** Metrics of one limit of packs. */
export interface PackLimitMetrics {
  queued(change: 1 | -1): void;
  running(change: 1 | -1): void;
  acquired(seconds: number): void;
  dropped(reason: string): void;
}

/** Metrics of the state of one cache of streams. */
export interface StreamCacheMetrics {
  entries(count: number): void;
  diskUsage(bytes: number): void;
  fileRemoved(): void;
}

export interface PackMetrics {
  readonly limits: Readonly<Record<PackLimitKind | 'total', PackLimitMetrics>>;
  looked(result: 'hit' | 'miss'): void;
  generated(bytes: number): void;
  served(bytes: number): void;
  /** A stage of the making of a pack. */
  stage(name: string, seconds: number): void;
  /** A number of git about a pack. */
  statistic(name: string, value: number): void;
  /** A cache that keeps streams. */
  cacheEnabled(cache: 'pack_objects' | 'archive', dir: string, maxAgeMs: number): void;
  streamCache(name: string, dir: string): StreamCacheMetrics;
}

const NO_LABELS = {};

/** The default of Prometheus' Go library. */
const STAGE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** 1, 10, … 1e9. */
const STATISTICS_BUCKETS = Array.from({ length: 10 }, (_, exponent) => 10 ** exponent);

/** Declares the metrics of packs and of caches of streams, with Gitaly's names. */
export function packMetrics(
  registry: MetricsRegistry,
  { latencyBuckets: buckets }: { readonly latencyBuckets: readonly number[] },
): PackMetrics {
  const limits = limitFamilies(registry, buckets);
  const lookups = registry.counter({
    name: 'gitaly_pack_objects_cache_lookups_total',
    help: 'Number of lookups in the PackObjectsHook cache, divided by hit/miss',
    labels: ['result'],
  });
  const generated = registry
    .counter({
      name: 'gitaly_pack_objects_generated_bytes_total',
      help: 'Number of bytes generated in PackObjectsHook by running git-pack-objects',
    })
    .with(NO_LABELS);
  const served = registry
    .counter({
      name: 'gitaly_pack_objects_served_bytes_total',
      help: 'Number of bytes of git-pack-objects data served to clients',
    })
    .with(NO_LABELS);
  const stages = registry.histogram({
    name: 'gitaly_pack_objects_stages_seconds',
    help: 'Time of pack-objects command on different stage',
    labels: ['stage'],
    buckets: STAGE_BUCKETS,
  });
  const statistics = registry.histogram({
    name: 'gitaly_pack_objects_stats',
    help: 'Various statistics about pack-objects',
    labels: ['type'],
    buckets: STATISTICS_BUCKETS,
  });
  return {
    limits,
    looked: (result) => lookups.with({ result }).inc(),
    generated: (bytes) => generated.inc(bytes),
    served: (bytes) => served.inc(bytes),
    stage: (stage, seconds) => stages.with({ stage }).observe(seconds),
    statistic: (type, value) => statistics.with({ type }).observe(value),
    ...streamCacheMetrics(registry),
  };
}

function streamCacheMetrics(registry: MetricsRegistry): Pick<PackMetrics, 'cacheEnabled' | 'streamCache'> {
  const enabled = (cache: string) =>
    registry.gauge({
      name: `gitaly_${cache}_cache_enabled`,
      isOfServer: true,
      help: 'Whether the cache keeps streams, and where.',
      labels: ['dir', 'max_age'],
    });
  const enabledCaches = { pack_objects: enabled('pack_objects'), archive: enabled('archive') };
  const entries = registry.gauge({
    name: 'gitaly_streamcache_index_entries',
    help: 'Number of index entries in streamcache',
    labels: ['cache_name', 'dir'],
  });
  const usage = registry.gauge({
    name: 'gitaly_streamcache_filestore_disk_usage_bytes',
    help: 'Disk usage per filestore',
    labels: ['dir'],
  });
  const removed = registry.counter({
    name: 'gitaly_streamcache_filestore_removed_total',
    help: 'Number of files removed from streamcache via file walks',
    labels: ['dir'],
  });
  // Streams are copied by this process, which shares them in memory; dashboards read the name.
  registry
    .counter({ name: 'gitaly_streamcache_sendfile_bytes_total', help: 'Number of bytes sent using sendfile' })
    .with(NO_LABELS);
  return {
    cacheEnabled: (cache, dir, maxAgeMs) =>
      enabledCaches[cache].with({ dir, max_age: String(Math.round(maxAgeMs / 1000)) }).set(1),
    streamCache: (name, dir) => {
      const [count, bytes, files] = [
        entries.with({ cache_name: name, dir }),
        usage.with({ dir }),
        removed.with({ dir }),
      ];
      return {
        entries: (value) => count.set(value),
        diskUsage: (value) => bytes.set(value),
        fileRemoved: () => files.inc(),
      };
    },
  };
}

function limitFamilies(registry: MetricsRegistry, buckets: readonly number[]): PackMetrics['limits'] {
  const inProgress = registry.gauge({
    name: 'gitaly_pack_objects_in_progress',
    help: 'Gauge of number of concurrent in-progress calls',
    labels: ['auth'],
  });
  const queued = registry.gauge({
    name: 'gitaly_pack_objects_queued',
    help: 'Gauge of number of queued calls',
    labels: ['auth'],
  });
  const acquiring = registry.histogram({
    name: 'gitaly_pack_objects_acquiring_seconds',
    help: 'Histogram of time calls are rate limited (in seconds)',
    labels: ['auth'],
    buckets,
  });
  const dropped = registry.counter({
    name: 'gitaly_pack_objects_dropped_total',
    help: 'Number of requests dropped from the queue',
    labels: ['auth', 'reason'],
  });
  const ofCaller = (auth: PackLimitKind): PackLimitMetrics => {
    const [running, waiting, time] = [
      inProgress.with({ auth }),
      queued.with({ auth }),
      acquiring.with({ auth }),
    ];
    return {
      queued: (change) => waiting.inc(change),
      running: (change) => running.inc(change),
      acquired: (seconds) => time.observe(seconds),
      dropped: (reason) => dropped.with({ auth, reason }).inc(),
    };
  };
  return {
    authenticated: ofCaller('authenticated'),
    unauthenticated: ofCaller('unauthenticated'),
    total: totalMetrics(registry, buckets),
  };
}

/** The limit of all packs is not in Gitaly. */
function totalMetrics(registry: MetricsRegistry, buckets: readonly number[]): PackLimitMetrics {
  const running = registry
    .gauge({ name: 'gitaly_ts_packs_in_progress', help: 'Packs that are being made.' })
    .with(NO_LABELS);
  const queued = registry
    .gauge({ name: 'gitaly_ts_packs_queued', help: 'Packs that wait for the limit of all packs.' })
    .with(NO_LABELS);
  const acquiring = registry
    .histogram({
      name: 'gitaly_ts_packs_acquiring_seconds',
      help: 'Time that packs waited for the limit of all packs.',
      buckets,
    })
    .with(NO_LABELS);
  const dropped = registry.counter({
    name: 'gitaly_ts_packs_dropped_total',
    help: 'Packs that the limit of all packs refused.',
    labels: ['reason'],
  });
  return {
    queued: (change) => queued.inc(change),
    running: (change) => running.inc(change),
    acquired: (seconds) => acquiring.observe(seconds),
    dropped: (reason) => dropped.with({ reason }).inc(),
  };
}
