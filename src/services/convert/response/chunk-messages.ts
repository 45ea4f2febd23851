import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/streams/chunk-by-size';

/**
 * Collects parts of a response into chunks by the rule of {@link chunkBySize}.
 *
 * @param upperBound a number that the encoded size of a part, in bytes, never exceeds.
 */
export function chunkMessages<S extends DescMessage, P extends MessageInitShape<S>>(
  schema: S,
  parts: AsyncIterable<P>,
  upperBound: (part: P) => number,
): AsyncGenerator<P[]> {
  const sizeOf = (part: P): number => toBinary(schema, create(schema, part)).length;
  return chunkBySize(parts, { sizeOf, upperBound });
}
