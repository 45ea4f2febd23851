import type { MessageInitShape } from '@bufbuild/protobuf';
import type { TimestampSchema } from '@bufbuild/protobuf/wkt';

/** Converts a point in time for clients that use whole seconds only. */
export function wholeSeconds(milliseconds: number): MessageInitShape<typeof TimestampSchema> {
  return { seconds: BigInt(Math.floor(milliseconds / 1000)) };
}
