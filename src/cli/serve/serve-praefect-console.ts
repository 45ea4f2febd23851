import type { Logger } from '#platform/log/logger';
import type { PraefectConfig } from '#praefect/config/schema';
import type { PraefectServer } from '#praefect/praefect-server';
import { statusData } from '../cluster/render-status.ts';
import { openConsole } from './serve-console.ts';

/** Returns a function that opens the console of a praefect; `undefined` without a console. */
export function praefectConsole(
  { auth, console, virtualStorage }: PraefectConfig,
  options: { readonly logger: Logger; readonly hasPredecessor: boolean },
): ((server: PraefectServer) => Promise<AsyncDisposable>) | undefined {
  const { listenAddr } = console;
  if (listenAddr === undefined) return undefined;
  const storage = console.storage ?? virtualStorage[0]?.name ?? '';
  return (server) =>
    openConsole({
      address: server.addresses[0] ?? '', // a server has one
      settings: { ...console, listenAddr, storage },
      token: auth.token,
      source: {
        cluster: async () => statusData(await server.status()),
        status: () => server.calls.status(),
        history: () => server.calls.history(),
        cancel: (correlationId) => server.calls.cancel(correlationId),
      },
      ...options,
    });
}
