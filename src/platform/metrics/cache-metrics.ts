import type { Counter, Histogram, MetricsRegistry } from './metrics-registry.ts';

/** Steps of a walk that removes old files of the caches. */
export type WalkEvent = 'check' | 'removal' | 'empty_dir' | 'empty_dir_removal' | 'error';

/** Kinds of calls, as the cache marks distinguish them. */
export type CallOperation = 'accessor' | 'mutator' | 'maintenance' | 'unknown';

/** Metrics of the caches that a server keeps between calls. */
export interface CacheMetrics {
  /** A lookup in the disk cache, and its result. */
  diskCache(event: 'attempt' | 'hit' | 'miss' | 'err'): void;
  diskCacheBytes(direction: 'stored' | 'fetched', bytes: number): void;
  walked(event: WalkEvent): void;
  call(operation: CallOperation): void;
  /** A change that could not be marked. */
  markFailed(method: string): void;
}

const NO_LABELS = {};

/** Declares the metrics of the disk cache; they start with 0. */
export function cacheMetrics(registry: MetricsRegistry): CacheMetrics {
  const counter = (name: string, help: string): Counter => plainCounter(registry, name, help);
  const attempts = counter(
    'gitaly_inforef_cache_attempt_total',
    'Total number of smarthttp info-ref RPCs accessing the cache',
  );
  const results = registry.counter({
    name: 'gitaly_inforef_cache_hit_miss_total',
    help: 'Total number of smarthttp info-ref RPC hit/miss/err cache accesses',
    labels: ['type'],
  });
  const requests = counter('gitaly_diskcache_requests_total', 'Total number of disk cache requests');
  const misses = counter('gitaly_diskcache_miss_total', 'Total number of disk cache misses');
  const bytes = {
    stored: counter('gitaly_diskcache_bytes_stored_total', 'Total number of disk cache bytes stored'),
    fetched: counter('gitaly_diskcache_bytes_fetched_total', 'Total number of disk cache bytes fetched'),
  };
  // Concurrent producers of one response replace each other's file, so that none fails.
  counter('gitaly_diskcache_bytes_loser_total', 'Total number of disk cache bytes from losing writes');
  const walks = walkCounters(registry);
  const calls = counter(
    'gitaly_cacheinvalidator_rpc_total',
    'Total number of RPCs encountered by cache invalidator',
  );
  const operations = registry.counter({
    name: 'gitaly_cacheinvalidator_optype_total',
    help: 'Total number of operation types encountered by cache invalidator',
    labels: ['type'],
  });
  const failures = registry.counter({
    name: 'gitaly_cacheinvalidator_error_total',
    help: 'Total number of cache invalidation errors by method',
    labels: ['method'],
  });
  return {
    diskCache: (event) => {
      if (event === 'attempt') {
        attempts.inc();
        requests.inc();
        return;
      }
      if (event === 'miss') misses.inc();
      results.with({ type: event }).inc();
    },
    diskCacheBytes: (direction, count) => bytes[direction].inc(count),
    walked: (event) => walks[event].inc(),
    call: (operation) => {
      calls.inc();
      if (operation !== 'unknown') operations.with({ type: operation }).inc();
    },
    markFailed: (method) => failures.with({ method }).inc(),
  };
}

function walkCounters(registry: MetricsRegistry): Readonly<Record<WalkEvent, Counter>> {
  const walker = (step: string, help: string): Counter =>
    plainCounter(registry, `gitaly_diskcache_walker_${step}_total`, help);
  return {
    check: walker('check', 'Total number of events during diskcache filesystem walks'),
    removal: walker('removal', 'Total number of events during diskcache filesystem walks'),
    empty_dir: walker('empty_dir', 'Total number of empty directories encountered'),
    empty_dir_removal: walker('empty_dir_removal', 'Total number of empty directories removed'),
    error: walker('error', 'Total number of errors during diskcache filesystem walks'),
  };
}

function plainCounter(registry: MetricsRegistry, name: string, help: string): Counter {
  return registry.counter({ name, help }).with(NO_LABELS);
}

/** State of the cat-file processes when the metrics are collected. */
export interface CatFileState {
  readonly hits: number;
  readonly misses: number;
  readonly started: number;
  readonly running: number;
  /** Shared processes that wait for the next lookup of their repository. */
  readonly members: number;
  readonly lookups: Readonly<Record<'info' | 'contents' | 'flush', number>>;
}

/** Declares `gitaly_catfile_*`, whose values are read from `state` at each collection. */
export function catFileMetrics(registry: MetricsRegistry, state: () => CatFileState): void {
  const cache = registry.counter({
    name: 'gitaly_catfile_cache_total',
    help: 'Counter of catfile cache hit/miss',
    labels: ['type'],
  });
  const members = registry.gauge({
    name: 'gitaly_catfile_cache_members',
    help: 'Gauge of catfile cache members by process type',
    labels: ['type'],
  });
  const lookups = registry.counter({
    name: 'gitaly_catfile_lookups_total',
    help: 'Git catfile lookups by object type',
    labels: ['type'],
  });
  const running = registry.gauge({
    name: 'gitaly_catfile_processes',
    help: 'Gauge of active catfile processes',
  });
  const started = registry.counter({
    name: 'gitaly_catfile_processes_total',
    help: 'Counter of catfile processes',
  });
  registry.beforeCollect(() => {
    const now = state();
    cache.with({ type: 'hit' }).value = now.hits;
    cache.with({ type: 'miss' }).value = now.misses;
    members.with({ type: 'object_reader' }).set(now.members);
    for (const type of ['info', 'contents', 'flush'] as const)
      lookups.with({ type }).value = now.lookups[type];
    running.with(NO_LABELS).set(now.running);
    started.with(NO_LABELS).value = now.started;
  });
}

/** Bounds of Gitaly 19.0: powers of four to 1 MiB. */
const TRANSFER_BUCKETS = Array.from({ length: 11 }, (_, power) => 4 ** power);

/** Sizes of reads and writes on multiplexed connections. */
export interface TransferMetrics {
  readonly read: Histogram;
  readonly write: Histogram;
}

export function transferMetrics(registry: MetricsRegistry): TransferMetrics {
  const histogram = (direction: string, transfers: string): Histogram =>
    registry
      .histogram({
        name: `gitaly_backchannel_yamux_${direction}_size_bytes`,
        help: `Size of individual ${transfers} yamux connections`,
        buckets: TRANSFER_BUCKETS,
      })
      .with(NO_LABELS);
  return { read: histogram('read', 'reads from'), write: histogram('write', 'writes to') };
}
