import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { GitalyError } from '#base/gitaly-error';

/** 10,000 years, the bound of google.protobuf.Duration. */
const MAX_SECONDS = 315_576_000_000n;
const NANOSECONDS = 1_000_000_000;

/**
 * Returns a duration in milliseconds.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `proto: invalid nil Duration`, `proto: duration (…) …`.
 */
export function requireDurationMs(duration: Duration | undefined): number {
  if (duration === undefined) throw new GitalyError('INVALID_ARGUMENT', 'proto: invalid nil Duration');
  const { seconds, nanos } = duration;
  const problem = problemOf(duration);
  if (problem === undefined) return durationMs(duration);
  const text = `proto: duration (seconds:${seconds} nanos:${nanos}) ${problem}`;
  throw new GitalyError('INVALID_ARGUMENT', text);
}

function problemOf({ seconds, nanos }: Duration): string | undefined {
  if (seconds < -MAX_SECONDS) return 'exceeds -10000 years';
  if (seconds > MAX_SECONDS) return 'exceeds +10000 years';
  if (Math.abs(nanos) >= NANOSECONDS) return 'has out-of-range nanos';
  const isMixed = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  return isMixed ? 'has seconds and nanos with different signs' : undefined;
}
