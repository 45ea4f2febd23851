import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';

/** Returns a request as it is encoded on the wire, for keys of caches. */
export function requestBytes<S extends DescMessage>(schema: S, request: MessageShape<S>): Uint8Array {
  return toBinary(schema, request);
}
