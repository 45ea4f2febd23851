import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { attempt } from '#base/attempt';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';

/**
 * Creates the error for a status that a server sent. Its details stay packed
 * (`google.protobuf.Any`): unpacking them needs the types of all messages (`typed-details.ts`), and
 * most clients never do it.
 */
export function statusError(code: StatusCode, message: string, details: Uint8Array | undefined): GitalyError {
  return new GitalyError(code, message, { details: details === undefined ? [] : readDetails(details) });
}

/**
 * Unpacks the details. Bytes that are not a `google.rpc.Status` have none; the code and the message
 * of the headers still apply.
 */
function readDetails(bytes: Uint8Array): Any[] {
  // On failure: broken details must not hide the error
  return attempt(() => fromBinary(StatusSchema, bytes).details) ?? [];
}
