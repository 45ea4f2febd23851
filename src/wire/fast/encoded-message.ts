import { create, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';

const FIELD_NUMBER_SHIFT = 3;
const WIRE_TYPE_MASK = 7;

const ENCODED = Symbol('encoded');

/** A message with its encoded bytes. */
interface Encoded {
  readonly [ENCODED]?: readonly Uint8Array[];
}

/**
 * Returns a message that is already encoded, for lists with a separate encoder. It is sent as
 * these bytes, without a copy. Code in this process that reads its fields sees empty ones.
 *
 * @param bytes must not change until they are sent. They, or each piece of them, are whole fields
 *   and begin with one of the fields 1 to 15, whose tag is one byte.
 */
export function encodedMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array | readonly Uint8Array[],
): MessageShape<Desc> {
  const message = create(schema);
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
  const filled = pieces.filter(({ length }) => length > 0);
  if (filled.length === 0) return message;
  // For other encoders: they write unknown fields unchanged, and treat everything after the first
  // tag as the contents of one.
  message.$unknown = filled.map((piece) => {
    const [tag = 0] = piece;
    return { no: tag >> FIELD_NUMBER_SHIFT, wireType: tag & WIRE_TYPE_MASK, data: piece.subarray(1) };
  });
  return Object.assign(message, { [ENCODED]: filled });
}

/** Returns the bytes of an encoded message in pieces; `undefined` for any other. */
export function encodedBytes(message: Message & Encoded): readonly Uint8Array[] | undefined {
  return message[ENCODED];
}
