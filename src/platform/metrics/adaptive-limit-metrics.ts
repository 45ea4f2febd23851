import type { Counter, Gauge, MetricsRegistry } from './metrics-registry.ts';

/** Metrics of limits that follow the load. */
export interface AdaptiveLimitMetrics {
  currentLimit(limit: string): Gauge;
  /** Signs of overload, by the condition that detected them. */
  backoffEvents(watcher: string): Counter;
}

/** Declares the metrics; a series appears with its limit or condition. */
export function adaptiveLimitMetrics(registry: MetricsRegistry): AdaptiveLimitMetrics {
  const current = registry.gauge({
    name: 'gitaly_concurrency_limiting_current_limit',
    help: 'The current limit value of an adaptive concurrency limit',
    labels: ['limit'],
  });
  const backoffs = registry.counter({
    name: 'gitaly_concurrency_limiting_backoff_events_total',
    help: 'Counter of the total number of backoff events',
    labels: ['watcher'],
  });
  return {
    currentLimit: (limit) => current.with({ limit }),
    backoffEvents: (watcher) => backoffs.with({ watcher }),
  };
}
