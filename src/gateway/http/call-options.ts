import type { CallOptions } from '#client/call-types';
import { CORRELATION_ID, REMOTE_IP, USER_ID, USERNAME } from '#rpc/common/header-names';
import type { GitExchange } from './git-exchange.ts';

/** A correlation id that a proxy in front gave the request, if it is harmless in a log. */
const CORRELATION_ID_FORMAT = /^[\w.-]{1,128}$/;

/** What Gitaly is told beside the request: who asks and from where, for hooks, limits and logs. */
export function callOptions({ identity, remoteAddress, request, signal }: GitExchange): CallOptions {
  const correlationId = request.headers['x-request-id'];
  return {
    signal,
    metadata: {
      [USER_ID]: identity.glId,
      [USERNAME]: identity.username,
      ...(remoteAddress === undefined ? {} : { [REMOTE_IP]: remoteAddress }),
      ...(typeof correlationId === 'string' && CORRELATION_ID_FORMAT.test(correlationId)
        ? { [CORRELATION_ID]: correlationId }
        : {}),
    },
  };
}
