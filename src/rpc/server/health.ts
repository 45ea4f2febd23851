import { setTimeout as sleep } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { Health, HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import { type HandlerContext, type ServedService, serve } from './handler.ts';

/** Finds problems that prevent the server from working. */
export interface HealthProbe {
  problems(): Promise<readonly string[]>;
}

/** Interval in which Watch reads the status. */
const WATCH_INTERVAL_MS = 1000;

/**
 * Returns `grpc.health.v1.Health`. Only the server as a whole (empty service name) has a status; no
 * other name exists, as in Gitaly. Needs no authentication.
 *
 * @param probe without it, the server is SERVING while it responds.
 */
export function healthService(probe?: HealthProbe): ServedService {
  const current = async (): Promise<Status> =>
    probe === undefined || (await probe.problems()).length === 0 ? Status.SERVING : Status.NOT_SERVING;
  return serve(
    Health,
    {
      check: async ({ service }) => {
        if (service !== '') throw new GitalyError('NOT_FOUND', 'unknown service');
        return { status: await current() };
      },
      watch: async function* ({ service }, context) {
        if (service !== '') {
          yield { status: Status.SERVICE_UNKNOWN };
          await aborted(context); // the status never changes
        }
        for (let sent: Status | undefined; ; await sleepUnlessAborted(context)) {
          const status = await current();
          if (status !== sent) yield { status };
          sent = status;
        }
      },
      list: async () => ({ statuses: { '': { status: await current() } } }),
    },
    { public: true },
  );
}

async function sleepUnlessAborted({ signal }: HandlerContext): Promise<void> {
  await sleep(WATCH_INTERVAL_MS, undefined, { signal }).catch((error: unknown) => {
    throw signal.reason ?? error;
  });
}

/** Waits until the client disconnects; throws the reason. */
function aborted({ signal }: HandlerContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
