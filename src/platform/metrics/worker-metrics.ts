import { counter, gauge } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

/** The worker processes of a server. */
export const WORKERS = {
  processes: gauge(
    'gitaly_ts_workers',
    [],
    'Processes that serve calls, with the one that accepts connections.',
  ),
  starts: counter('gitaly_ts_worker_starts_total', [], 'Worker processes that were started.'),
  ends: counter('gitaly_ts_worker_ends_total', ['reason'], 'Worker processes that have ended, by reason.'),
  connections: counter(
    'gitaly_ts_worker_connections_total',
    [],
    'Connections that were handed over to worker processes.',
  ),
  moves: counter(
    'gitaly_ts_connection_moves_total',
    [],
    'Connections that were ended so that their clients reach a process that is less busy.',
  ),
};

export type WorkerMetrics = ReturnType<typeof workerMetrics>;

export function workerMetrics(registry: MetricsRegistry) {
  const { connections, ends, moves, processes, starts } = registry.declare(WORKERS);
  return {
    /** Sets the number of processes that serve calls. */
    running: (count: number) => processes.set(count),
    started: () => starts.inc(),
    ended: (reason: 'idle' | 'failed' | 'hung' | 'stopped') => ends.with({ reason }).inc(),
    handedOver: () => connections.inc(),
    moved: () => moves.inc(),
  };
}
