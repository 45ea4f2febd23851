import type { CallOptions } from '#client/call/call-types';
import { callMetadata } from '../call-metadata.ts';
import type { GitExchange } from './git-exchange.ts';

/** A correlation id that a proxy in front gave the request, if it is harmless in a log. */
const CORRELATION_ID_FORMAT = /^[\w.-]{1,128}$/;

/** The options of the calls for one request: who asks, and that they end when the client goes away. */
export function callOptions({ identity, remoteAddress, request, signal }: GitExchange): CallOptions {
  const requestId = request.headers['x-request-id'];
  const correlationId = typeof requestId === 'string' && CORRELATION_ID_FORMAT.test(requestId) ? requestId : undefined;
  return { signal, metadata: callMetadata({ identity, remoteAddress, correlationId }) };
}
