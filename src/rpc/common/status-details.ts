import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';

/**
 * Makes the error of what a server sent. Its details stay packed (`google.protobuf.Any`): whoever wants to look at them needs the types
 * of all messages (`typed-details.ts`), which most programs that make calls never do.
 */
export function statusError(code: StatusCode, message: string, details: Uint8Array | undefined): GitalyError {
  return new GitalyError(code, message, { details: details === undefined ? [] : readDetails(details) });
}

/** Bytes that are not a `google.rpc.Status` give no details: the code and the message of the headers still count. */
function readDetails(bytes: Uint8Array): Any[] {
  try {
    return fromBinary(StatusSchema, bytes).details;
  } catch {
    return []; // a broken detail must not hide the error it belongs to
  }
}
