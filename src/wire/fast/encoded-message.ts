import { create, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';

const FIELD_NUMBER_SHIFT = 3;
const WIRE_TYPE_MASK = 7;

const ENCODED = Symbol('encoded');

/** A message that knows its own bytes. */
interface Encoded {
  readonly [ENCODED]?: Uint8Array;
}

/**
 * A message that is already encoded, for lists that are worth an encoder of their own: it is sent as these bytes, without a copy. To who reads
 * its fields in this process they are empty.
 *
 * @param bytes must not change until they are sent. They begin with one of the fields 1 to 15, whose tag is one byte.
 */
export function encodedMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const message = create(schema);
  const [tag] = bytes;
  if (tag === undefined) return message;
  // For any other encoder: fields that are not known are written as they are, and all behind the first tag passes for the contents of one.
  message.$unknown = [{ no: tag >> FIELD_NUMBER_SHIFT, wireType: tag & WIRE_TYPE_MASK, data: bytes.subarray(1) }];
  return Object.assign(message, { [ENCODED]: bytes });
}

/** The bytes of a message that is encoded already, `undefined` for any other. */
export function encodedBytes(message: Message & Encoded): Uint8Array | undefined {
  return message[ENCODED];
}
