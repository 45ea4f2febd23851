import type { MetricsRegistry } from './metrics-registry.ts';

/** Metrics of the worker processes of a server. */
export interface WorkerMetrics {
  /** Sets the number of processes that serve calls. */
  running(processes: number): void;
  started(): void;
  ended(reason: 'idle' | 'failed' | 'hung' | 'stopped'): void;
  handedOver(): void;
  moved(): void;
}

export function workerMetrics(registry: MetricsRegistry): WorkerMetrics {
  const processes = registry.gauge({
    name: 'gitaly_ts_workers',
    help: 'Processes that serve calls, with the one that accepts connections.',
  });
  const starts = registry.counter({
    name: 'gitaly_ts_worker_starts_total',
    help: 'Worker processes that were started.',
  });
  const ends = registry.counter({
    name: 'gitaly_ts_worker_ends_total',
    help: 'Worker processes that have ended, by reason.',
    labels: ['reason'],
  });
  const connections = registry.counter({
    name: 'gitaly_ts_worker_connections_total',
    help: 'Connections that were handed over to worker processes.',
  });
  const moves = registry.counter({
    name: 'gitaly_ts_connection_moves_total',
    help: 'Connections that were ended so that their clients reach a process that is less busy.',
  });
  for (const family of [processes, starts, connections, moves]) family.with({});
  return {
    running: (count) => processes.with({}).set(count),
    started: () => starts.with({}).inc(),
    ended: (reason) => ends.with({ reason }).inc(),
    handedOver: () => connections.with({}).inc(),
    moved: () => moves.with({}).inc(),
  };
}
