import { messageOf } from '#base/gitaly-error';
import { AccessLog } from '#gateway/access/access-log';
import { GatewayArgumentError } from './gateway-options.ts';

/** Command line options of the access log. */
export interface UpLogOptions {
  /** File of the access log, or `-` for standard output; none without it. */
  readonly log?: string | undefined;
  readonly logFormat?: 'json' | 'text' | undefined;
}

/** @throws {GatewayArgumentError} for a format without a log. */
export function checkUpLog({ log, logFormat }: UpLogOptions): void {
  if (logFormat !== undefined && log === undefined)
    throw new GatewayArgumentError('--log-format has no effect without --log FILE');
}

/** Opens the access log. @returns undefined without one. @throws {Error} with the path. */
export function openUpLog({ log: path, logFormat: format = 'json' }: UpLogOptions): AccessLog | undefined {
  if (path === undefined) return undefined;
  try {
    return AccessLog.open({
      path,
      format,
      onProblem: (error) =>
        process.stderr.write(`gitaly-ts: the previous access log stays in use: ${messageOf(error)}\n`),
    });
  } catch (error) {
    throw new Error(`--log ${path}: ${messageOf(error)}. Choose a file that you can write to.`, {
      cause: error,
    });
  }
}
