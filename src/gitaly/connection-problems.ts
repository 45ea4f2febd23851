import { systemErrorCode } from '#base/go/system-error';
import type { Logger } from '#platform/log/logger';
import { YamuxError } from '#rpc/common/yamux/yamux-error';
import type { ListenerOptions } from '#rpc/server/connection/listener';
import type { GrpcServerOptions } from '#rpc/server/grpc-server';
import type { ServerMetrics } from './metrics.ts';

/** Codes of connections that the peer cut, which happens all the time and needs no action. */
const CUT_BY_PEER = new Set(['ECONNRESET', 'EPIPE']);

/** Logs and counts connections that cannot be accepted and those that end with an error. */
export function connectionProblems(
  { callers }: Pick<ServerMetrics, 'callers'>,
  logger: Logger,
): Required<Pick<GrpcServerOptions, 'onConnectionError'> & Pick<ListenerOptions, 'onAcceptError'>> {
  return {
    onConnectionError: (error, { address, transport }) => {
      // A multiplexed connection that the peer closed: without multiplexing that is no error
      // either.
      if (error instanceof YamuxError && error.reason === 'session-closed') return;
      callers.connectionError(transport, 'session').inc();
      const level = CUT_BY_PEER.has(systemErrorCode(error) ?? '') ? 'debug' : 'warn';
      logger[level]({ error: error.message, schema: transport, address }, 'connection ended with an error');
    },
    onAcceptError: (error, transport) => {
      callers.connectionError(transport, 'accept').inc();
      logger.error({ error: error.message, schema: transport }, 'connection could not be accepted');
    },
  };
}
