import type { DescMessage } from '@bufbuild/protobuf';

/** Fields whose elements become objects or entries of arrays: by number, with the message's type. */
type ElementFields = ReadonlyMap<number, DescMessage | undefined>;

const fieldsOf = new WeakMap<DescMessage, ElementFields>();
/** protobuf's own limit of messages in messages. */
const MAX_DEPTH = 100;
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/**
 * Counts the elements of repeated fields, and the messages, in an encoded message, without decoding
 * it: a byte or two may become an object of a hundred. Stops when there are more than `limit`.
 * Malformed bytes end the count; decoding finds out.
 */
export function countElements(type: DescMessage, bytes: Uint8Array, limit: number): number {
  const counter = new ElementCounter(bytes, limit);
  counter.count(type, bytes.length, 0);
  return counter.elements;
}

class ElementCounter {
  elements = 0;
  readonly #bytes: Uint8Array;
  readonly #limit: number;
  #at = 0;

  constructor(bytes: Uint8Array, limit: number) {
    this.#bytes = bytes;
    this.#limit = limit;
  }

  count(type: DescMessage, end: number, depth: number): void {
    const fields = elementFields(type);
    while (this.#at < end && this.elements <= this.#limit) {
      const tag = this.#varint();
      const isElement = fields.has(tag >>> 3);
      switch (tag & 7) {
        case VARINT:
          this.#varint();
          break;
        case FIXED64:
          this.#at += 8;
          break;
        case FIXED32:
          this.#at += 4;
          break;
        case LENGTH: {
          const length = this.#varint();
          const inner = fields.get(tag >>> 3);
          if (inner !== undefined && depth < MAX_DEPTH)
            this.count(inner, Math.min(end, this.#at + length), depth + 1);
          else this.#at += length;
          break;
        }
        default:
          // A group, which no message of ours has.
          this.#at = end;
      }
      if (isElement) this.elements++;
    }
  }

  /** The lower 32 bits, which is all that tags and lengths have. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value >>> 0;
  }
}

function elementFields(type: DescMessage): ElementFields {
  let fields = fieldsOf.get(type);
  if (fields === undefined) {
    fields = new Map(
      type.fields
        .filter(({ fieldKind }) => fieldKind !== 'scalar' && fieldKind !== 'enum')
        .map((field) => [field.number, field.message]),
    );
    fieldsOf.set(type, fields);
  }
  return fields;
}
