import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ReadinessCheckResponseSchema } from '#wire/gen/server_pb';

/**
 * Reports that the server is ready, as every Git server that answers is. (A cluster manager has
 * more to check.)
 */
export function readinessCheck(): MessageInitShape<typeof ReadinessCheckResponseSchema> {
  return { Result: { case: 'okResponse', value: {} } };
}
