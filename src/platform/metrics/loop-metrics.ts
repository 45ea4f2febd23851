import type { MetricsRegistry } from './metrics-registry.ts';

/** Metrics of an event loop that was blocked. */
export interface LoopMetrics {
  /** Counts a block. The names are empty if no single call is known to be its cause. */
  blocked(method: { readonly service: string; readonly name: string }, seconds: number): void;
}

export function loopMetrics(registry: MetricsRegistry): LoopMetrics {
  const labels = ['grpc_service', 'grpc_method'] as const;
  const blocks = registry.counter({
    name: 'gitaly_ts_event_loop_blocked_total',
    help: 'Times that the event loop was blocked for more than a second, by the call that blocked it.',
    labels,
  });
  const time = registry.counter({
    name: 'gitaly_ts_event_loop_blocked_seconds_total',
    help: 'Length of these times.',
    labels,
  });
  return {
    blocked({ service, name }, seconds) {
      const values = { grpc_service: service, grpc_method: name };
      blocks.with(values).inc();
      time.with(values).inc(seconds);
    },
  };
}
