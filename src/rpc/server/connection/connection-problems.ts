import { systemErrorCode } from '#base/go/system-error';
import type { Logger } from '#platform/log/logger';
import type { GitalyMetrics } from '#platform/metrics/gitaly-metrics';
import { YamuxError } from '#rpc/common/yamux/yamux-error';
import type { GrpcServerOptions } from '../grpc-server.ts';
import type { ListenerOptions } from './listener.ts';

/** Codes of connections that the peer cut, which happens all the time and needs no action. */
const CUT_BY_PEER = new Set(['ECONNRESET', 'EPIPE']);

export type ConnectionProblems = Required<
  Pick<GrpcServerOptions, 'onConnectionError'> & Pick<ListenerOptions, 'onAcceptError'>
>;

/** Logs and counts connections that cannot be accepted and those that end with an error. */
export function connectionProblems(
  { callers }: { readonly callers: Pick<GitalyMetrics, 'connectionError'> },
  logger: Logger,
): ConnectionProblems {
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
