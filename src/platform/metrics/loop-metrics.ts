import { counter } from './metric.ts';
import type { Observers } from './metrics-registry.ts';

/** An event loop that was blocked. The labels are empty if no single call is known to be its cause. */
export const LOOP = {
  blocks: counter(
    'gitaly_ts_event_loop_blocked_total',
    ['grpc_service', 'grpc_method'],
    'Times that the event loop was blocked for more than a second, by the call that blocked it.',
  ),
  seconds: counter(
    'gitaly_ts_event_loop_blocked_seconds_total',
    ['grpc_service', 'grpc_method'],
    'Length of these times.',
  ),
};

export type LoopMetrics = Observers<typeof LOOP>;
