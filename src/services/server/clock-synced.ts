import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { GitalyError, wrap } from '#base/gitaly-error';
import { queryClockOffsetMs } from '#base/sntp';
import type { HandlerContext } from '#rpc/server/handler';
import type { ClockSyncedRequest, ClockSyncedResponseSchema } from '#wire/gen/server_pb';

const DEFAULT_TIME_SERVER = 'pool.ntp.org';
const MAX_DURATION_SECONDS = 315_576_000_000n; // 10,000 years, the bound of google.protobuf.Duration
const NANOSECONDS = 1_000_000_000;

/** Whether the machine's clock agrees with a time server's up to a threshold. */
export async function clockSynced(
  request: ClockSyncedRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof ClockSyncedResponseSchema>> {
  const thresholdMs = threshold(request);
  const server = request.ntpHost === '' ? DEFAULT_TIME_SERVER : request.ntpHost;
  const offsetMs = await queryClockOffsetMs(server, { signal: context.signal }).catch((error: unknown) => {
    throw wrap(error, `query ntp host ${server}`);
  });
  return { synced: Math.abs(offsetMs) <= thresholdMs };
}

/** Clients of 15.0 send whole milliseconds, those of 16 a duration, which they must. */
function threshold(request: ClockSyncedRequest): number {
  if (request.driftThreshold !== undefined) return checkedMs(request.driftThreshold);
  if (request.driftThresholdMillis !== 0n) return Number(request.driftThresholdMillis);
  throw new GitalyError('INVALID_ARGUMENT', 'proto: invalid nil Duration');
}

function checkedMs(duration: Duration): number {
  const { seconds, nanos } = duration;
  const problem =
    seconds < -MAX_DURATION_SECONDS
      ? 'exceeds -10000 years'
      : seconds > MAX_DURATION_SECONDS
        ? 'exceeds +10000 years'
        : Math.abs(nanos) >= NANOSECONDS
          ? 'has out-of-range nanos'
          : (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)
            ? 'has seconds and nanos with different signs'
            : undefined;
  if (problem !== undefined)
    throw new GitalyError('INVALID_ARGUMENT', `proto: duration (seconds:${seconds} nanos:${nanos}) ${problem}`);
  return durationMs(duration);
}
