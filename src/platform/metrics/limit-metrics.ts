import type { LimitReason } from '#base/limits/limit-refusal';
import { counter, gauge, histogram } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

const LABELS = ['system', 'grpc_service', 'grpc_method'] as const;

/** Concurrency limits, with Gitaly's names. */
export const LIMITS = {
  inProgress: gauge(
    'gitaly_concurrency_limiting_in_progress',
    LABELS,
    'Gauge of number of concurrent in-progress calls',
  ),
  queued: gauge('gitaly_concurrency_limiting_queued', LABELS, 'Gauge of number of queued calls'),
  acquiring: histogram(
    'gitaly_concurrency_limiting_acquiring_seconds',
    LABELS,
    'Histogram of time calls are rate limited (in seconds)',
  ),
  dropped: counter(
    'gitaly_requests_dropped_total',
    [...LABELS, 'reason', 'authenticated'],
    'Number of requests dropped from the queue',
    { shown: { title: 'Refused calls', kind: 'counter' } },
  ),
};

/** Metrics of the limit of one RPC. */
export type MethodLimitMetrics = ReturnType<ReturnType<typeof limitMetrics>>;

/** Declares the metrics of limits. @returns a function that returns those of one RPC. */
export function limitMetrics(
  registry: MetricsRegistry,
  { latencyBuckets }: { readonly latencyBuckets: readonly number[] },
) {
  const { acquiring, dropped, inProgress, queued } = registry.declare(LIMITS, latencyBuckets);
  return (service: string, method: string) => {
    const values = { system: 'gitaly', grpc_service: service, grpc_method: method };
    return {
      inProgress: inProgress.with(values),
      queued: queued.with(values),
      acquiring: acquiring.with(values),
      dropped: (reason: LimitReason | 'rate', isAuthenticated: boolean) =>
        dropped.with({ ...values, reason, authenticated: String(isAuthenticated) }),
    };
  };
}
