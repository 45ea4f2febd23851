import { AsyncLocalStorage } from 'node:async_hooks';

const correlationIds = new AsyncLocalStorage<string>();

/**
 * Runs `work` with a correlation id for every call made in it, also later from its callbacks,
 * unless the call sets another.
 */
export function withCorrelationId<T>(correlationId: string, work: () => T): T {
  return correlationIds.run(correlationId, work);
}

/** Returns the id of the surrounding `withCorrelationId`. */
export function currentCorrelationId(): string | undefined {
  return correlationIds.getStore();
}
