import { counter, gauge } from './metric.ts';
import type { Observers } from './metrics-registry.ts';

/** Limits that follow the load. */
export const ADAPTIVE_LIMITS = {
  currentLimit: gauge(
    'gitaly_concurrency_limiting_current_limit',
    ['limit'],
    'The current limit value of an adaptive concurrency limit',
  ),
  /** Signs of overload, by the condition that detected them. */
  backoffEvents: counter(
    'gitaly_concurrency_limiting_backoff_events_total',
    ['watcher'],
    'Counter of the total number of backoff events',
  ),
};

export type AdaptiveLimitMetrics = Observers<typeof ADAPTIVE_LIMITS>;
