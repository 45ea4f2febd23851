import type { ResponseOf } from '#rpc/server/handler';
import type { ReadinessCheckResponseSchema } from '#wire/gen/server_pb';
import type { ServerDependencies } from './dependencies.ts';

/** Reports that the server is ready, or which storages are gone. */
export async function readinessCheck({
  storages,
}: ServerDependencies): ResponseOf<typeof ReadinessCheckResponseSchema> {
  const failedChecks = (await storages.presence.problems()).map((errorMessage) => ({
    name: 'storages',
    errorMessage,
  }));
  if (failedChecks.length === 0) return { Result: { case: 'okResponse', value: {} } };
  return { Result: { case: 'failureResponse', value: { failedChecks } } };
}
