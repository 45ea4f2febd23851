import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { fieldValue, setFieldValue } from '../field-value.ts';
import { encodedBytes } from './encoded-message.ts';

/** Size below which a copy is cheaper than another chunk in the transport. */
export const BY_REFERENCE_BYTES = 4096;

/**
 * Division of a message type: its singular bytes fields, and the fields before, between and after
 * them, by number.
 */
interface Plan {
  readonly bulk: readonly DescField[];
  /** One longer than `bulk`: `around[i]` comes before `bulk[i]`, the last one at the end. */
  readonly around: readonly (readonly DescField[])[];
}

const EMPTY = new Uint8Array(0);
const plans = new WeakMap<DescMessage, Plan>();

/**
 * Encodes a message as a list of chunks which, joined, equal the output of `toBinary`.
 *
 * The content of a top-level singular `bytes` field of at least `BY_REFERENCE_BYTES` is a separate
 * chunk: the caller's array itself, not a copy, so it must not change until the chunks are sent.
 * Without such a field the result is one chunk (an empty one for an empty message). A message that
 * is encoded already has its own chunks.
 *
 * @throws {Error} as `toBinary` does, when a value does not fit its field or the message is of
 *   another type.
 */
export function encodeMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): readonly Uint8Array[] {
  const encoded = encodedBytes(message);
  if (encoded !== undefined) return encoded;
  const plan = planOf(schema);
  if (!plan.bulk.some((field) => bulkContent(message, field)) || message.$typeName !== schema.typeName) {
    return [toBinary(schema, message)];
  }

  const chunks: Uint8Array[] = [];
  let pending: DescField[] = [];
  for (const [index, field] of plan.bulk.entries()) {
    pending.push(...(plan.around[index] ?? []));
    const content = bulkContent(message, field);
    if (content) {
      chunks.push(withHead(encodePart(schema, message, pending), field, content), content);
      pending = [];
    } else {
      pending.push(field);
    }
  }
  pending.push(...(plan.around.at(-1) ?? []));
  const tail = encodePart(schema, message, pending, message.$unknown);
  if (tail.length > 0) chunks.push(tail);
  return chunks;
}

function planOf(schema: DescMessage): Plan {
  const known = plans.get(schema);
  if (known) return known;
  const bulk: DescField[] = [];
  const around: DescField[][] = [[]];
  for (const field of schema.fields.toSorted((a, b) => a.number - b.number)) {
    if (field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES) {
      bulk.push(field);
      around.push([]);
    } else {
      around.at(-1)?.push(field);
    }
  }
  const plan = { bulk, around };
  plans.set(schema, plan);
  return plan;
}

/** Returns the value of a bytes field if it is large enough for a separate chunk. */
function bulkContent(message: Message, field: DescField): Uint8Array | undefined {
  const value = fieldValue(message, field);
  return value instanceof Uint8Array && value.length >= BY_REFERENCE_BYTES ? value : undefined;
}

/** Encodes only the given fields, and at the end of the message the unknown ones. */
function encodePart(
  schema: DescMessage,
  message: Message,
  fields: readonly DescField[],
  unknown: Message['$unknown'] = undefined,
): Uint8Array {
  if (fields.length === 0 && unknown === undefined) return EMPTY;
  const part = create(schema);
  // The values come from a message of the same schema.
  for (const field of fields) {
    const value = fieldValue(message, field);
    if (value !== undefined) setFieldValue(part, field, value);
  }
  if (unknown) part.$unknown = unknown;
  return toBinary(schema, part);
}

/** Returns `before` followed by the tag of `field` and the length of `content`. */
function withHead(before: Uint8Array, field: DescField, content: Uint8Array): Uint8Array {
  return new BinaryWriter()
    .raw(before)
    .tag(field.number, WireType.LengthDelimited)
    .uint32(content.length)
    .finish();
}
