import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ReadinessCheckResponseSchema } from '#wire/gen/server_pb';

/** A Git server that answers is ready. (A cluster manager has more to check.) */
export function readinessCheck(): MessageInitShape<typeof ReadinessCheckResponseSchema> {
  return { Result: { case: 'okResponse', value: {} } };
}
