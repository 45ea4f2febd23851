import { assertNever } from '#base/assert-never';
import type { StatusCode } from '#base/gitaly-error';
import type { LogLevel } from './logger.ts';
import { threeDigits } from './three-digits.ts';

/** Returns the log level for a finished call with this status (Gitaly 19.0). */
export function accessLogLevel(code: StatusCode): LogLevel {
  switch (code) {
    case 'OK':
    case 'NOT_FOUND':
    case 'CANCELLED':
    case 'ALREADY_EXISTS':
    case 'INVALID_ARGUMENT':
    case 'UNAUTHENTICATED':
      return 'info';
    case 'DEADLINE_EXCEEDED':
    case 'PERMISSION_DENIED':
    case 'FAILED_PRECONDITION':
    case 'ABORTED':
    case 'OUT_OF_RANGE':
    case 'RESOURCE_EXHAUSTED':
      return 'warn';
    case 'UNKNOWN':
    case 'UNIMPLEMENTED':
    case 'INTERNAL':
    case 'DATA_LOSS':
    case 'UNAVAILABLE':
      return 'error';
    default:
      return assertNever(code);
  }
}

/**
 * Returns a function that formats Unix times in milliseconds for `grpc.start_time` and
 * `grpc.request.deadline`: local time without zone. It keeps the text of the last second, as many
 * calls start in one.
 */
export function localTimestamps(): (milliseconds: number) => string {
  let lastSecond = Number.NaN;
  let text = '';
  return (milliseconds) => {
    const second = Math.floor(milliseconds / 1000);
    if (second !== lastSecond) {
      lastSecond = second;
      const offsetMs = new Date(milliseconds).getTimezoneOffset() * 60_000;
      text = new Date(milliseconds - offsetMs).toISOString().slice(0, -4);
    }
    return `${text}${threeDigits(milliseconds - second * 1000)}`;
  };
}

/** Rounds a duration in milliseconds to three decimals, as in `grpc.time_ms`. */
export function roundedMs(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** Methods that exist have shorter names. A client may invent longer ones. */
const MAX_METHOD_LENGTH = 200;
/** Not logged by default. */
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';

/**
 * Returns a function that reports whether calls of a method (`/grpc.health.v1.Health/Check`) are
 * logged: those that match GITALY_LOG_REQUEST_METHOD_ALLOW_PATTERN if it is set, otherwise those
 * that do not match GITALY_LOG_REQUEST_METHOD_DENY_PATTERN. By default all are logged except health
 * checks.
 *
 * @throws {RegexpError} when a pattern is not a regular expression of Go.
 */
export async function accessLogFilter(env: NodeJS.ProcessEnv): Promise<(fullMethod: string) => boolean> {
  const allow = env.GITALY_LOG_REQUEST_METHOD_ALLOW_PATTERN;
  const deny = env.GITALY_LOG_REQUEST_METHOD_DENY_PATTERN;
  if (!allow && !deny) return (fullMethod) => fullMethod !== HEALTH_CHECK;
  // Few servers have a pattern: the code is loaded for them alone.
  const { GoRegexp } = await import('#base/go/regexp/go-regexp');
  const pattern = new GoRegexp(allow || deny || '');
  return (fullMethod) => pattern.test(fullMethod.slice(0, MAX_METHOD_LENGTH)) === Boolean(allow);
}
