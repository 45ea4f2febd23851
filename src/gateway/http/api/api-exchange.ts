import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessEntry } from '#gateway/access/access-entry';
import type { ProxyPeer } from '../trusted-proxies.ts';

/** A request for the API. */
export interface ApiExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: ProxyPeer;
  readonly signal: AbortSignal;
  readonly access: AccessEntry | undefined;
  sendContinue(): void;
}
