import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';

const FIELD_NUMBER_SHIFT = 3;
const WIRE_TYPE_MASK = 7;

/**
 * A message that is already encoded, for lists that are worth an encoder of their own: it is sent as these bytes. To who reads its
 * fields in this process they are empty.
 *
 * @param bytes must not change until they are sent. They begin with one of the fields 1 to 15, whose tag is one byte.
 */
export function encodedMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const message = create(schema);
  const [tag] = bytes;
  if (tag === undefined) return message;
  // Fields that are not known are written as they are; everything behind the first tag passes for the contents of one such field.
  message.$unknown = [{ no: tag >> FIELD_NUMBER_SHIFT, wireType: tag & WIRE_TYPE_MASK, data: bytes.subarray(1) }];
  return message;
}
