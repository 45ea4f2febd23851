/**
 * Where a connection stands, in gRPC's words. `idle`: nothing is open, the next call opens it. `transient_failure`: the last attempt
 * failed and the pause before the next one is running; calls fail at once.
 */
export type ConnectionState = 'idle' | 'connecting' | 'ready' | 'transient_failure' | 'shutdown';

/** The state of a whole from its parts: one that works is enough, and hope goes before failure. */
export function aggregateState(states: readonly ConnectionState[]): ConnectionState {
  const order = ['ready', 'connecting', 'idle', 'transient_failure'] as const;
  return order.find((state) => states.includes(state)) ?? 'transient_failure';
}
