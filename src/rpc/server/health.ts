import { GitalyError } from '#base/gitaly-error';
import { Health, HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import { type HandlerContext, type ServedService, serve } from './handler.ts';

/**
 * Returns `grpc.health.v1.Health`. The server as a whole (empty service name) is SERVING while it
 * responds; no other name exists, as in Gitaly. Needs no authentication.
 */
export function healthService(): ServedService {
  return serve(
    Health,
    {
      check: ({ service }) => {
        if (service !== '') throw new GitalyError('NOT_FOUND', 'unknown service');
        return { status: Status.SERVING };
      },
      watch: async function* ({ service }, context) {
        yield { status: service === '' ? Status.SERVING : Status.SERVICE_UNKNOWN };
        await aborted(context); // the status never changes
      },
      list: () => ({ statuses: { '': { status: Status.SERVING } } }),
    },
    { public: true },
  );
}

/** Waits until the client disconnects; throws the reason. */
function aborted({ signal }: HandlerContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
