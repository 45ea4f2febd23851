import { AsyncLocalStorage } from 'node:async_hooks';

const correlationIds = new AsyncLocalStorage<string>();

/**
 * Runs `work`. Calls in it, and in its later callbacks, have this correlation id unless they set
 * another.
 */
export function withCorrelationId<T>(correlationId: string, work: () => T): T {
  return correlationIds.run(correlationId, work);
}

/** Returns the id of the surrounding `withCorrelationId`. */
export function currentCorrelationId(): string | undefined {
  return correlationIds.getStore();
}
