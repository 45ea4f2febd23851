import { GitalyError, messageOf } from '#base/gitaly-error';
import { statusGoName } from '#rpc/common/status-code';

/** A failed call to another server the way Go prints it: Gitaly's messages quote each other like that. Code and details stay. */
export function asGoStatus(error: unknown): unknown {
  if (!(error instanceof GitalyError)) return error;
  const { code, details, metadata } = error;
  const message = `rpc error: code = ${statusGoName(code)} desc = ${messageOf(error)}`;
  return new GitalyError(code, message, { cause: error, details, metadata });
}
