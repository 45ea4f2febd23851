import type { Duplex } from 'node:stream';
import type { Peer } from './handler.ts';
import type { ServerInterceptor } from './server-call.ts';

/** Makes calls of clients fail on purpose. Only tests use one. */
export interface FaultInjector {
  readonly interceptor: ServerInterceptor;
  /** Called with each connection before its first call; the calls have the same `peer`. */
  onConnection(connection: Duplex, peer: Peer): void;
}
