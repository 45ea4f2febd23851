import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { queryClockOffsetMs } from '#base/sntp';
import type { ClockSyncedRequest, ClockSyncedResponseSchema } from '#wire/gen/server_pb';
import { requireDurationMs } from './require-duration.ts';

const DEFAULT_TIME_SERVER = 'pool.ntp.org';

/** Reports whether the machine's clock agrees with a time server's up to a threshold. */
export async function clockSynced(
  request: ClockSyncedRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<MessageInitShape<typeof ClockSyncedResponseSchema>> {
  const thresholdMs = threshold(request);
  const server = request.ntpHost === '' ? DEFAULT_TIME_SERVER : request.ntpHost;
  const offsetMs = await queryClockOffsetMs(server, { signal }).catch((error: unknown) => {
    throw wrap(error, `query ntp host ${server}`);
  });
  return { synced: Math.abs(offsetMs) <= thresholdMs };
}

/** Clients of 15.0 send whole milliseconds; those of 16 send a duration, which is required. */
function threshold({ driftThreshold, driftThresholdMillis }: ClockSyncedRequest): number {
  const isOld = driftThreshold === undefined && driftThresholdMillis !== 0n;
  return isOld ? Number(driftThresholdMillis) : requireDurationMs(driftThreshold);
}
