import { AsyncLocalStorage } from 'node:async_hooks';

/** What an application lets travel with its calls: opaque to Gitaly, which hands it back to the internal API. */
export type ClientContext = Readonly<Record<string, string | boolean>>;

const contexts = new AsyncLocalStorage<ClientContext>();

/** Runs `work`; calls in it carry these entries beside those of the surroundings, whose entries of the same name they replace. */
export function withClientContext<T>(context: ClientContext, work: () => T): T {
  return contexts.run({ ...currentClientContext(), ...context }, work);
}

/** The entries of the surrounding `withClientContext` calls. */
export function currentClientContext(): ClientContext {
  return contexts.getStore() ?? {};
}
