import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessEntry } from '../access/access-entry.ts';
import type { ProxyPeer } from './trusted-proxies.ts';

/** A request in progress, and its response. */
export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client, also behind trusted proxies. */
  readonly peer: ProxyPeer;
  /** Aborts when the client disconnects, and when the request takes too long. */
  readonly signal: AbortSignal;
  /** Notes what is transferred, for the access log. */
  readonly access: AccessEntry | undefined;
  /**
   * Sends `100 Continue` to a client that waits for it before its body (`Expect: 100-continue`).
   */
  sendContinue(): void;
}
