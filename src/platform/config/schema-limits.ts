import { duration, flag, float, integer, text } from './keys.ts';

/** The keys of a limiter; `[[concurrency]]`, `[pack_objects_limiting]` and their `unauthenticated` tables share them. */
export function concurrencyLimits(defaults: { max: number; queue: number }) {
  return {
    max_concurrency: integer({
      doc: 'Calls running at once for one repository. 0 means no limit.',
      default: defaults.max,
      accepted: 'a whole number, 0 or greater',
    }),
    max_per_repo: integer({ doc: 'Old name of max_concurrency.', default: 0, accepted: 'a whole number, 0 or greater' }),
    max_queue_size: integer({
      doc: 'Calls waiting; more are refused with RESOURCE_EXHAUSTED.',
      default: defaults.queue,
      accepted: 'a whole number greater than 0',
    }),
    max_queue_length: integer({ doc: 'Old name of max_queue_size.', default: 0, accepted: 'a whole number greater than 0' }),
    max_queue_wait: duration({
      doc: 'Longest wait in the queue. 0s means no limit.',
      defaultMs: 0,
      accepted: 'a duration in quotes, "0s" or longer',
    }),
    adaptive: flag({ doc: 'Let the limit follow the load.' }),
    initial_limit: integer({
      doc: 'Adaptive limit at the start.',
      default: 0,
      accepted: 'a whole number from min_limit to max_limit',
    }),
    max_limit: integer({ doc: 'Highest adaptive limit.', default: 0, accepted: 'a whole number, initial_limit or greater' }),
    min_limit: integer({ doc: 'Lowest adaptive limit.', default: 0, accepted: 'a whole number greater than 0' }),
  };
}

/** The keys of a cache of streams. */
export function cacheTable(defaults: { backpressure: boolean; minOccurrences: number; name: string }) {
  return {
    enabled: flag({ doc: 'Switch it on.' }),
    backpressure: flag({ doc: 'Slow the producer down when readers are slow.', default: defaults.backpressure }),
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
      doc: 'How often a request must come before its answer is kept.',
      default: defaults.minOccurrences,
    }),
  };
}

/** The keys of one kind of pressure. */
export function pressure(defaults: { warning: number; backoff: number; critical: number }) {
  return {
    enabled: flag({ doc: 'Look at it.' }),
    warning_threshold: float({ doc: 'Percent from which it is logged.', default: defaults.warning }),
    backoff_threshold: float({ doc: 'Percent from which limits shrink.', default: defaults.backoff }),
    critical_threshold: float({ doc: 'Percent that counts as critical.', default: defaults.critical }),
    sustain_duration_seconds: integer({ doc: 'Seconds that it must last.', default: 30 }),
    fast_fall_ratio: float({ doc: 'Ratio below which pressure counts as falling.', default: 0.85 }),
  };
}
