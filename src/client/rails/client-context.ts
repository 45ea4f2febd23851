import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Data that an application sends with its calls. It is opaque to Gitaly, which passes it on to the
 * internal API.
 */
export type ClientContext = Readonly<Record<string, string | boolean>>;

const contexts = new AsyncLocalStorage<ClientContext>();

/**
 * Runs `work` with these entries for its calls, in addition to those of surrounding calls; entries
 * of the same name are replaced.
 */
export function withClientContext<T>(context: ClientContext, work: () => T): T {
  return contexts.run({ ...currentClientContext(), ...context }, work);
}

/** Returns the entries of the surrounding `withClientContext` calls; `undefined` outside of any. */
export function currentClientContext(): ClientContext | undefined {
  return contexts.getStore();
}
