import type { MetricsRegistry } from './metrics-registry.ts';

/** Metrics of calls that are ended under critical load. */
export interface LoadShedderMetrics {
  shed(call: { readonly service: string; readonly method: string; readonly reason: string }): void;
}

/**
 * Declares the metrics, with Gitaly's names.
 *
 * @param tracked returns the number of calls that may be ended now.
 */
export function loadShedderMetrics(registry: MetricsRegistry, tracked: () => number): LoadShedderMetrics {
  const active = registry
    .gauge({
      name: 'gitaly_burdenmonitor_active_rpcs',
      help: 'Number of RPCs currently tracked by the burden monitor',
    })
    .with({});
  registry.beforeCollect(() => active.set(tracked()));
  const shed = registry.counter({
    name: 'gitaly_loadshedder_rpcs_shed_total',
    help: 'Total number of RPCs cancelled by the load shedder',
    labels: ['grpc_service', 'grpc_method', 'reason'],
  });
  return {
    shed: ({ service, method, reason }) =>
      shed.with({ grpc_service: service, grpc_method: method, reason }).inc(),
  };
}
