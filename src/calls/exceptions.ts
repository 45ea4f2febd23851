import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { isError } from '#base/is-error';
import type { Logger } from '#platform/log/logger';
import type { ErrorReports } from '#rpc/server/interceptors/error-reports';
import { panicError, type RecoverExceptionsOptions } from '#rpc/server/interceptors/recover-exceptions';
import type { ServerCall } from '#rpc/server/server-call';
import type { ServerMetrics } from './metrics.ts';
import { runningCall } from './running-call.ts';

/** The handling of exceptions that no code expected. */
export interface Exceptions extends RecoverExceptionsOptions {
  /**
   * Handles an exception that no code caught: ends the call from which it comes, if that runs.
   * Returns false if its effects are unknown, so that the process should end.
   */
  contain(exception: unknown): boolean;
}

/** System calls on connections, and how they fail when the peer has gone. */
const CONNECTION_CALLS = new Set(['read', 'write', 'shutdown', 'connect']);
const PEER_IS_GONE = new Set([
  'EPIPE',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTCONN',
  'ETIMEDOUT',
  'ECONNREFUSED',
]);

/** Logs and counts exceptions, and shows which of them end a call and which the process. */
export function exceptions(
  { callers }: Pick<ServerMetrics, 'callers'>,
  logger: Logger,
  reports?: Pick<ErrorReports, 'exception'>,
): Exceptions {
  const onException = (call: ServerCall, exception: unknown): void => {
    callers.exception('call').inc();
    reports?.exception(call, exception);
    const { method, context } = call;
    logger.error(
      { ...describe(exception), method: method.path, correlation_id: context.correlationId },
      'grpc panic',
    );
  };
  const contain = (exception: unknown): boolean => {
    const call = runningCall();
    if (call?.fail(panicError(exception))) {
      onException(call, exception);
      return true;
    }
    if (isLostConnection(exception)) {
      callers.exception('connection').inc();
      logger.error(describe(exception), 'error of a connection that nothing was listening for');
      return true;
    }
    callers.exception('process').inc();
    reports?.exception(undefined, exception);
    logger.error(describe(exception), 'uncaught exception: the server stops');
    return false;
  };
  return { onException, contain };
}

function describe(exception: unknown): { error: string; backtrace: string } {
  const backtrace = isError(exception) ? (exception.stack ?? '') : '';
  return { error: messageOf(exception), backtrace };
}

function isLostConnection(exception: unknown): boolean {
  const code = systemErrorCode(exception);
  if (code === undefined || !isError(exception) || !('syscall' in exception)) return false;
  return PEER_IS_GONE.has(code) && CONNECTION_CALLS.has(String(exception.syscall));
}
