import { type DescField, type DescMessage, type MessageShape, ScalarType } from '@bufbuild/protobuf';

/** Encoding of a field: the four shapes of {@link ReverseWriter} and `fields.ts`. */
export type FieldKind = 'bytes' | 'text' | 'number' | 'message';

type FieldName<Desc extends DescMessage> = Exclude<keyof MessageShape<Desc>, '$typeName' | '$unknown'>;

/** A tag takes one byte up to here; the encoders rely on it. */
const MAX_FIELD_NUMBER = 15;
const VARINT = 0;
const LENGTH_DELIMITED = 2;

const NUMBERS = new Set([
  ScalarType.INT32,
  ScalarType.INT64,
  ScalarType.UINT32,
  ScalarType.UINT64,
  ScalarType.BOOL,
]);

/**
 * Looks up the number of a field, for an encoder that writes it as `kind`.
 *
 * @throws {Error} when the message has no such field, when it is of another kind, or when its tag
 *   does not fit into one byte.
 */
export function fieldNumber({ field, typeName }: DescMessage, name: string, kind: FieldKind): number {
  const found = field[name];
  if (found === undefined) throw new Error(`${typeName} has no field ${name}`);
  if (kindOf(found) !== kind) throw new Error(`${typeName}.${name} is not of the kind ${kind}`);
  if (found.number > MAX_FIELD_NUMBER)
    throw new Error(`${typeName}.${name} has number ${found.number}; an encoder takes up to 15`);
  return found.number;
}

/** Looks up the numbers of several fields; see {@link fieldNumber}. Call it once, at load. */
export function fieldNumbers<Desc extends DescMessage, K extends FieldName<Desc>>(
  schema: Desc,
  kinds: Readonly<Record<K, FieldKind>>,
): Readonly<Record<K, number>> {
  return mapped(kinds, (name, kind) => fieldNumber(schema, name, kind));
}

/** Looks up the tags of several fields, in one byte: the number and the wire type. */
export function fieldTags<Desc extends DescMessage, K extends FieldName<Desc>>(
  schema: Desc,
  kinds: Readonly<Record<K, FieldKind>>,
): Readonly<Record<K, number>> {
  return mapped(kinds, (name, kind) => {
    const wireType = kind === 'number' ? VARINT : LENGTH_DELIMITED;
    return (fieldNumber(schema, name, kind) << 3) | wireType;
  });
}

function mapped<K extends PropertyKey>(
  kinds: Readonly<Record<K, FieldKind>>,
  toValue: (name: string, kind: FieldKind) => number,
): Readonly<Record<K, number>> {
  const entries = Object.entries<FieldKind>(kinds).map(([name, kind]) => [name, toValue(name, kind)]);
  // The keys are those of `kinds`.
  return Object.freeze(Object.fromEntries(entries)) as Readonly<Record<K, number>>;
}

/** `undefined` for kinds that no encoder writes: maps, floating point, fixed width, zigzag. */
function kindOf(field: DescField): FieldKind | undefined {
  if (field.message !== undefined) return field.fieldKind === 'map' ? undefined : 'message';
  if (field.enum !== undefined) return 'number';
  if (field.scalar === ScalarType.BYTES) return 'bytes';
  if (field.scalar === ScalarType.STRING) return 'text';
  return field.scalar !== undefined && NUMBERS.has(field.scalar) ? 'number' : undefined;
}
