/**
 * State of a connection, with gRPC's names. `idle`: nothing is open, the next call opens it.
 * `transient_failure`: the last attempt failed, and calls fail at once until the pause before the
 * next attempt is over.
 */
export type ConnectionState = 'idle' | 'connecting' | 'ready' | 'transient_failure' | 'shutdown';

/**
 * Returns the common state of several connections: one that is ready is enough, and connecting
 * takes precedence over failure.
 */
export function aggregateState(states: readonly ConnectionState[]): ConnectionState {
  const order = ['ready', 'connecting', 'idle', 'transient_failure'] as const;
  return order.find((state) => states.includes(state)) ?? 'transient_failure';
}
