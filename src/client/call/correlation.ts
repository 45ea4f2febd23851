import { AsyncLocalStorage } from 'node:async_hooks';

const correlationIds = new AsyncLocalStorage<string>();

/** Runs `work`; every call made in it, also later from its callbacks, carries this correlation id unless it names another. */
export function withCorrelationId<T>(correlationId: string, work: () => T): T {
  return correlationIds.run(correlationId, work);
}

/** The id of the surrounding `withCorrelationId`. */
export function currentCorrelationId(): string | undefined {
  return correlationIds.getStore();
}
