import type { FaultInjector } from '#rpc/server/fault-injector';

/** Called before each call. @returns what is called at its end, before the client has the result. */
export type BeginCall = () => Promise<() => Promise<void>>;

export function aroundCalls(begin: BeginCall): FaultInjector {
  return { interceptor: async () => ({ end: await begin() }), onConnection: () => {} };
}
