import type { LimitReason } from '#base/keyed-limit';
import type { Counter, Gauge, Histogram, MetricsRegistry } from './metrics-registry.ts';

/** Metrics of the limit of one RPC. */
export interface MethodLimitMetrics {
  readonly inProgress: Gauge;
  readonly queued: Gauge;
  readonly acquiring: Histogram;
  dropped(reason: LimitReason | 'rate', isAuthenticated: boolean): Counter;
}

/** Metrics of concurrency limits, with Gitaly's names. */
export function limitMetrics(
  registry: MetricsRegistry,
  { latencyBuckets }: { readonly latencyBuckets: readonly number[] },
): (service: string, method: string) => MethodLimitMetrics {
  const labels = ['system', 'grpc_service', 'grpc_method'] as const;
  const inProgress = registry.gauge({
    name: 'gitaly_concurrency_limiting_in_progress',
    help: 'Gauge of number of concurrent in-progress calls',
    labels,
  });
  const queued = registry.gauge({
    name: 'gitaly_concurrency_limiting_queued',
    help: 'Gauge of number of queued calls',
    labels,
  });
  const acquiring = registry.histogram({
    name: 'gitaly_concurrency_limiting_acquiring_seconds',
    help: 'Histogram of time calls are rate limited (in seconds)',
    labels,
    buckets: latencyBuckets,
  });
  const dropped = registry.counter({
    name: 'gitaly_requests_dropped_total',
    help: 'Number of requests dropped from the queue',
    labels: ['system', 'grpc_service', 'grpc_method', 'reason', 'authenticated'],
  });
  return (service, method) => {
    const values = { system: 'gitaly', grpc_service: service, grpc_method: method };
    return {
      inProgress: inProgress.with(values),
      queued: queued.with(values),
      acquiring: acquiring.with(values),
      dropped: (reason, isAuthenticated) =>
        dropped.with({ ...values, reason, authenticated: String(isAuthenticated) }),
    };
  };
}
