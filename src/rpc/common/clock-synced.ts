import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument, wrapped } from '#base/gitaly-error';
import { queryClockOffsetMs } from '#base/network/sntp';
import type { ClockSyncedRequest, ClockSyncedResponseSchema } from '#wire/gen/server_pb';

const DEFAULT_TIME_SERVER = 'pool.ntp.org';

/** Reports whether the machine's clock agrees with a time server's up to a threshold. */
export async function clockSynced(
  request: ClockSyncedRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<MessageInitShape<typeof ClockSyncedResponseSchema>> {
  const thresholdMs = threshold(request);
  const server = request.ntpHost === '' ? DEFAULT_TIME_SERVER : request.ntpHost;
  const offsetMs = await queryClockOffsetMs(server, { signal }).catch(wrapped(`query ntp host ${server}`));
  return { synced: Math.abs(offsetMs) <= thresholdMs };
}

/** Clients of 15.0 send whole milliseconds; those of 16 send a duration, which is required. */
function threshold({ driftThreshold, driftThresholdMillis }: ClockSyncedRequest): number {
  const isOld = driftThreshold === undefined && driftThresholdMillis !== 0n;
  return isOld ? Number(driftThresholdMillis) : requireDurationMs(driftThreshold);
}

/** 10,000 years, the bound of google.protobuf.Duration. */
const MAX_SECONDS = 315_576_000_000n;
const NANOSECONDS = 1_000_000_000;

/**
 * Returns a duration in milliseconds.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `proto: invalid nil Duration`, `proto: duration (…) …`.
 */
function requireDurationMs(duration: Duration | undefined): number {
  if (duration === undefined) throw invalidArgument('proto: invalid nil Duration');
  const { seconds, nanos } = duration;
  const problem = problemOf(duration);
  if (problem === undefined) return durationMs(duration);
  const text = `proto: duration (seconds:${seconds} nanos:${nanos}) ${problem}`;
  throw invalidArgument(text);
}

function problemOf({ seconds, nanos }: Duration): string | undefined {
  if (seconds < -MAX_SECONDS) return 'exceeds -10000 years';
  if (seconds > MAX_SECONDS) return 'exceeds +10000 years';
  if (Math.abs(nanos) >= NANOSECONDS) return 'has out-of-range nanos';
  const isMixed = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  return isMixed ? 'has seconds and nanos with different signs' : undefined;
}
