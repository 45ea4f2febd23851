import type { Counter, Histogram, MetricsRegistry } from './metrics-registry.ts';

/** Steps of a walk that removes old files of the caches. */
export type WalkEvent = 'check' | 'removal' | 'empty_dir' | 'empty_dir_removal' | 'error';

/** Kinds of calls, as the cache marks distinguish them. */
export type CallOperation = 'accessor' | 'mutator' | 'maintenance' | 'unknown';

/** Metrics of what the server keeps between calls. */
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
  const counter = (name: string, help: string): Counter => registry.counter({ name, help }).with(NO_LABELS);
  const attempts = counter('gitaly_inforef_cache_attempt_total', 'Lookups in the cache of advertisements.');
  const results = registry.counter({
    name: 'gitaly_inforef_cache_hit_miss_total',
    help: 'Results of lookups in the cache of advertisements.',
    labels: ['type'],
  });
  const requests = counter('gitaly_diskcache_requests_total', 'Lookups in the disk cache.');
  const misses = counter('gitaly_diskcache_miss_total', 'Lookups in the disk cache that found nothing.');
  const bytes = {
    stored: counter('gitaly_diskcache_bytes_stored_total', 'Bytes written to the disk cache.'),
    fetched: counter('gitaly_diskcache_bytes_fetched_total', 'Bytes read from the disk cache.'),
  };
  // Concurrent producers of one answer replace each other's file here, so that none loses.
  counter('gitaly_diskcache_bytes_loser_total', 'Bytes that a slower producer of one answer has lost.');
  const walker = (step: string, help: string): Counter =>
    counter(`gitaly_diskcache_walker_${step}_total`, help);
  const walks: Readonly<Record<WalkEvent, Counter>> = {
    check: walker('check', 'Files of the caches that were looked at.'),
    removal: walker('removal', 'Old files of the caches that were removed.'),
    empty_dir: walker('empty_dir', 'Empty directories of the caches that were found.'),
    empty_dir_removal: walker('empty_dir_removal', 'Empty directories of the caches that were removed.'),
    error: walker('error', 'Errors while the caches were walked.'),
  };
  const calls = counter('gitaly_cacheinvalidator_rpc_total', 'Calls that passed the cache marks.');
  const operations = registry.counter({
    name: 'gitaly_cacheinvalidator_optype_total',
    help: 'Calls that passed the cache marks, by what the method does.',
    labels: ['type'],
  });
  const failures = registry.counter({
    name: 'gitaly_cacheinvalidator_error_total',
    help: 'Changes that could not be marked for the caches.',
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
    help: 'Uses of a cat-file process, by whether one was there already.',
    labels: ['type'],
  });
  const members = registry.gauge({
    name: 'gitaly_catfile_cache_members',
    help: 'Shared cat-file processes, by kind.',
    labels: ['type'],
  });
  const lookups = registry.counter({
    name: 'gitaly_catfile_lookups_total',
    help: 'Requests to cat-file processes, by kind.',
    labels: ['type'],
  });
  const running = registry.gauge({
    name: 'gitaly_catfile_processes',
    help: 'Cat-file processes that are there now.',
  });
  const started = registry.counter({
    name: 'gitaly_catfile_processes_total',
    help: 'Cat-file processes that were started.',
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
  const histogram = (direction: string): Histogram =>
    registry
      .histogram({
        name: `gitaly_backchannel_yamux_${direction}_size_bytes`,
        help: `Size of each ${direction} on a multiplexed connection.`,
        buckets: TRANSFER_BUCKETS,
      })
      .with(NO_LABELS);
  return { read: histogram('read'), write: histogram('write') };
}
