import type { CallOptions } from '#client/call/call-types';
import { callMetadata } from '../call-metadata.ts';
import type { GitExchange } from './git-exchange.ts';

/** Matches a correlation id from a proxy that is safe to log. */
const CORRELATION_ID_FORMAT = /^[\w.-]{1,128}$/;

/**
 * Returns the options of the calls for one request: the identity, and a signal that aborts when the
 * client disconnects.
 */
export function callOptions({ identity, remoteAddress, request, signal }: GitExchange): CallOptions {
  const requestId = request.headers['x-request-id'];
  const correlationId =
    typeof requestId === 'string' && CORRELATION_ID_FORMAT.test(requestId) ? requestId : undefined;
  return { signal, metadata: callMetadata({ identity, remoteAddress, correlationId }) };
}
