import { counter, gauge, histogram } from './metric.ts';
import type { Counter, MetricsRegistry, Observers } from './metrics-registry.ts';

/** Steps of a walk that removes old files of the caches. */
type WalkEvent = 'check' | 'removal' | 'empty_dir' | 'empty_dir_removal' | 'error';

/** Kinds of calls, as the cache marks distinguish them. */
type CallOperation = 'accessor' | 'mutator' | 'maintenance' | 'unknown';

/** The caches that a server keeps between calls. */
export const CACHES = {
  attempts: counter(
    'gitaly_inforef_cache_attempt_total',
    [],
    'Total number of smarthttp info-ref RPCs accessing the cache',
  ),
  results: counter(
    'gitaly_inforef_cache_hit_miss_total',
    ['type'],
    'Total number of smarthttp info-ref RPC hit/miss/err cache accesses',
    { shown: { title: 'Advertised references', kind: 'cache' } },
  ),
  requests: counter('gitaly_diskcache_requests_total', [], 'Total number of disk cache requests'),
  misses: counter('gitaly_diskcache_miss_total', [], 'Total number of disk cache misses'),
  stored: counter('gitaly_diskcache_bytes_stored_total', [], 'Total number of disk cache bytes stored'),
  fetched: counter('gitaly_diskcache_bytes_fetched_total', [], 'Total number of disk cache bytes fetched'),
  /** Concurrent producers of one response replace each other's file, so that none fails. */
  lost: counter(
    'gitaly_diskcache_bytes_loser_total',
    [],
    'Total number of disk cache bytes from losing writes',
  ),
  calls: counter(
    'gitaly_cacheinvalidator_rpc_total',
    [],
    'Total number of RPCs encountered by cache invalidator',
  ),
  operations: counter(
    'gitaly_cacheinvalidator_optype_total',
    ['type'],
    'Total number of operation types encountered by cache invalidator',
  ),
  failures: counter(
    'gitaly_cacheinvalidator_error_total',
    ['method'],
    'Total number of cache invalidation errors by method',
  ),
};

/** The walk that removes old files of the caches, by its steps. */
export const CACHE_WALKS = {
  check: counter(
    'gitaly_diskcache_walker_check_total',
    [],
    'Total number of events during diskcache filesystem walks',
  ),
  removal: counter(
    'gitaly_diskcache_walker_removal_total',
    [],
    'Total number of events during diskcache filesystem walks',
  ),
  empty_dir: counter(
    'gitaly_diskcache_walker_empty_dir_total',
    [],
    'Total number of empty directories encountered',
  ),
  empty_dir_removal: counter(
    'gitaly_diskcache_walker_empty_dir_removal_total',
    [],
    'Total number of empty directories removed',
  ),
  error: counter(
    'gitaly_diskcache_walker_error_total',
    [],
    'Total number of errors during diskcache filesystem walks',
  ),
};

/** Declares the metrics of the disk cache. */
export function cacheMetrics(registry: MetricsRegistry) {
  const caches = registry.declare(CACHES);
  const walks: Readonly<Record<WalkEvent, Counter>> = registry.declare(CACHE_WALKS);
  return {
    /** Counts a lookup in the disk cache, and its result. */
    diskCache: (event: 'attempt' | 'hit' | 'miss' | 'err') => {
      if (event === 'attempt') {
        caches.attempts.inc();
        caches.requests.inc();
        return;
      }
      if (event === 'miss') caches.misses.inc();
      caches.results.with({ type: event }).inc();
    },
    diskCacheBytes: (direction: 'stored' | 'fetched', count: number) => caches[direction].inc(count),
    walked: (event: WalkEvent) => walks[event].inc(),
    call: (operation: CallOperation) => {
      caches.calls.inc();
      if (operation !== 'unknown') caches.operations.with({ type: operation }).inc();
    },
    /** Counts a change that could not be marked. */
    markFailed: (method: string) => caches.failures.with({ method }).inc(),
  };
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

export const CAT_FILES = {
  cache: counter('gitaly_catfile_cache_total', ['type'], 'Counter of catfile cache hit/miss', {
    shown: { title: 'Kept git processes', kind: 'cache' },
  }),
  members: gauge('gitaly_catfile_cache_members', ['type'], 'Gauge of catfile cache members by process type'),
  lookups: counter('gitaly_catfile_lookups_total', ['type'], 'Git catfile lookups by object type'),
  running: gauge('gitaly_catfile_processes', [], 'Gauge of active catfile processes'),
  started: counter('gitaly_catfile_processes_total', [], 'Counter of catfile processes'),
};

/** Declares `gitaly_catfile_*`, whose values are read from `state` at each collection. */
export function catFileMetrics(registry: MetricsRegistry, state: () => CatFileState): void {
  const { cache, lookups, members, running, started } = registry.declare(CAT_FILES);
  registry.beforeCollect(() => {
    const now = state();
    cache.with({ type: 'hit' }).value = now.hits;
    cache.with({ type: 'miss' }).value = now.misses;
    members.with({ type: 'object_reader' }).set(now.members);
    for (const type of ['info', 'contents', 'flush'] as const)
      lookups.with({ type }).value = now.lookups[type];
    running.set(now.running);
    started.value = now.started;
  });
}

/** Bounds of Gitaly 19.0: powers of four to 1 MiB. */
const TRANSFER_BUCKETS = Array.from({ length: 11 }, (_, power) => 4 ** power);

/** Sizes of reads and writes on multiplexed connections. */
export const TRANSFERS = {
  read: histogram(
    'gitaly_backchannel_yamux_read_size_bytes',
    [],
    'Size of individual reads from yamux connections',
    TRANSFER_BUCKETS,
  ),
  write: histogram(
    'gitaly_backchannel_yamux_write_size_bytes',
    [],
    'Size of individual writes to yamux connections',
    TRANSFER_BUCKETS,
  ),
};

export type TransferMetrics = Observers<typeof TRANSFERS>;
