import { create, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';

const FIELD_NUMBER_SHIFT = 3;
const WIRE_TYPE_MASK = 7;

const ENCODED = Symbol('encoded');

/** A message with its encoded bytes. */
interface Encoded {
  readonly [ENCODED]?: Uint8Array;
}

/**
 * Returns a message that is already encoded, for lists with a separate encoder. It is sent as
 * these bytes, without a copy. Code in this process that reads its fields sees empty ones.
 *
 * @param bytes must not change until they are sent. They begin with one of the fields 1 to 15,
 *   whose tag is one byte.
 */
export function encodedMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  const message = create(schema);
  const [tag] = bytes;
  if (tag === undefined) return message;
  // For other encoders: they write unknown fields unchanged, and treat everything after the first
  // tag as the contents of one.
  message.$unknown = [
    { no: tag >> FIELD_NUMBER_SHIFT, wireType: tag & WIRE_TYPE_MASK, data: bytes.subarray(1) },
  ];
  return Object.assign(message, { [ENCODED]: bytes });
}

/** Returns the bytes of an encoded message; `undefined` for any other. */
export function encodedBytes(message: Message & Encoded): Uint8Array | undefined {
  return message[ENCODED];
}
