/** Bytes of a piece, unless a single field is larger: a thousand short elements, half a millisecond. */
const PIECE_BYTES = 16_384;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
/** Longest varint of a valid message. */
const MAX_VARINT_BYTES = 10;

/**
 * Cuts an encoded message between its fields. Each piece is an encoded message of the same type;
 * merged in their order they are the message. From malformed bytes on, the rest is one piece, so
 * that decoding fails as it does for the whole.
 */
export function* encodedPieces(message: Uint8Array): Generator<Uint8Array, void> {
  let start = 0;
  for (let at = 0; at < message.length; ) {
    const end = endOfField(message, at);
    if (end === undefined) break;
    at = end;
    if (at - start < PIECE_BYTES) continue;
    yield message.subarray(start, at);
    start = at;
  }
  if (start < message.length) yield message.subarray(start);
}

/** Returns the position after the field at a position; `undefined` if it is malformed or a group. */
function endOfField(message: Uint8Array, start: number): number | undefined {
  const tag = varintAt(message, start);
  if (tag === undefined) return undefined;
  const end = endOfValue(message, tag);
  return end !== undefined && end <= message.length ? end : undefined;
}

function endOfValue(message: Uint8Array, { value, end }: Varint): number | undefined {
  switch (value & 7) {
    case VARINT:
      return varintAt(message, end)?.end;
    case FIXED64:
      return end + 8;
    case FIXED32:
      return end + 4;
    case LENGTH: {
      const length = varintAt(message, end);
      return length && length.end + length.value;
    }
    default:
      return undefined;
  }
}

interface Varint {
  /** The lower 32 bits, which is all that tags and lengths have. */
  readonly value: number;
  readonly end: number;
}

function varintAt(message: Uint8Array, start: number): Varint | undefined {
  let value = 0;
  for (let index = 0; index < MAX_VARINT_BYTES; index++) {
    const byte = message[start + index];
    if (byte === undefined) return undefined;
    if (index < 5) value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value: value >>> 0, end: start + index + 1 };
  }
  return undefined;
}
