import { type DescField, type DescMessage, type DescOneof, ScalarType } from '@bufbuild/protobuf';

/** One step from a message towards a field with text: the field, and which part of it. */
interface Step {
  readonly field: DescField;
  /** A key or a value of a map. */
  readonly part?: 'key' | 'value';
}

/** A string or bytes field of a message, however deep. */
export interface TextField {
  /** `requests.tree_request.left_tree_revision`, `max_patch_bytes.key`. */
  readonly path: string;
  readonly steps: readonly Step[];
}

/** Plain messages: local names of fields and their values, `{ case, value }` for a oneof. */
export type Plain = Record<string, unknown>;

/** Messages that contain themselves end here. */
const MAX_DEPTH = 6;

/** Lists every string and bytes field of a message: nested, repeated, in a oneof, in a map. */
export function textFields(message: DescMessage): TextField[] {
  return fieldsBelow(message, [], MAX_DEPTH);
}

function fieldsBelow(message: DescMessage, steps: readonly Step[], depth: number): TextField[] {
  if (depth === 0) return [];
  return message.fields.flatMap((field): TextField[] => {
    const here = [...steps, { field }];
    switch (field.fieldKind) {
      case 'scalar':
        return isText(field.scalar) ? [textField(here)] : [];
      case 'message':
        return fieldsBelow(field.message, here, depth - 1);
      case 'list':
        if (field.listKind === 'message') return fieldsBelow(field.message, here, depth - 1);
        return field.listKind === 'scalar' && isText(field.scalar) ? [textField(here)] : [];
      case 'map': {
        const keys = isText(field.mapKey) ? [textField([...steps, { field, part: 'key' }])] : [];
        const inside = [...steps, { field, part: 'value' } as const];
        if (field.mapKind === 'message') return [...keys, ...fieldsBelow(field.message, inside, depth - 1)];
        const hasText = field.mapKind === 'scalar' && isText(field.scalar);
        return hasText ? [...keys, textField(inside)] : keys;
      }
      default:
        return [];
    }
  });
}

function isText(scalar: ScalarType): boolean {
  return scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
}

function textField(steps: readonly Step[]): TextField {
  const names = steps.map(({ field, part }) => (part === undefined ? field.name : `${field.name}.${part}`));
  return { path: names.join('.'), steps };
}

/** Reports whether a field is a string; else it is bytes. The key of a map always is a string. */
export function isString({ steps }: TextField): boolean {
  const last = steps.at(-1);
  if (last === undefined) return false;
  const { field, part } = last;
  if (field.fieldKind === 'map') return part === 'key' || field.scalar === ScalarType.STRING;
  return field.scalar === ScalarType.STRING;
}

/** Returns the first value of the field in a message, as bytes; empty when it has none. */
export function fieldText(message: Plain, { steps }: TextField): Buffer {
  let value: unknown = message;
  for (const { field, part } of steps) {
    value = isPlain(value) ? valueIn(value, field) : undefined;
    if (Array.isArray(value)) value = value[0];
    else if (part !== undefined && isPlain(value)) {
      const [entry] = Object.entries(value);
      value = part === 'key' ? entry?.[0] : entry?.[1];
    }
  }
  if (typeof value === 'string') return Buffer.from(value);
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}

/** Reports whether the message has what contains the field, so that only the field is replaced. */
export function hasPlaceFor(message: Plain, { steps }: TextField): boolean {
  let value: unknown = message;
  for (const { field } of steps.slice(0, -1)) {
    value = isPlain(value) ? valueIn(value, field) : undefined;
    if (Array.isArray(value)) value = value[0];
    if (!isPlain(value)) return false;
  }
  const last = steps.at(-1)?.field;
  return last?.oneof === undefined || (isPlain(value) && isCase(value, last.oneof, last));
}

/** Returns a copy of a message whose field is replaced: of a list its first element. */
export function withText(message: Plain, { steps }: TextField, text: string | Uint8Array): Plain {
  const [step, ...rest] = steps;
  if (step === undefined) return message;
  const { field, part } = step;
  const old = valueIn(message, field);
  const inner = (value: unknown): unknown =>
    rest.length === 0 ? text : withText(isPlain(value) ? value : {}, { path: '', steps: rest }, text);
  if (field.fieldKind === 'list')
    return withValue(
      message,
      field,
      Array.isArray(old) ? [inner(old[0]), ...old.slice(1)] : [inner(undefined)],
    );
  if (field.fieldKind === 'map') {
    const [key, value] = (isPlain(old) ? Object.entries(old)[0] : undefined) ?? ['k', undefined];
    const entries = part === 'key' ? [[String(text), value ?? 1]] : [[key, inner(value)]];
    return withValue(message, field, Object.fromEntries(entries));
  }
  return withValue(message, field, inner(old));
}

function valueIn(message: Plain, field: DescField): unknown {
  if (field.oneof === undefined) return message[field.localName];
  const chosen = message[field.oneof.localName];
  return isPlain(chosen) && chosen.case === field.localName ? chosen.value : undefined;
}

/** Returns a copy of a message with another value for a field; of a oneof it becomes the one. */
export function withValue(message: Plain, field: DescField, value: unknown): Plain {
  return field.oneof === undefined
    ? { ...message, [field.localName]: value }
    : { ...message, [field.oneof.localName]: { case: field.localName, value } };
}

function isCase(message: Plain, oneof: DescOneof, field: DescField): boolean {
  const chosen = message[oneof.localName];
  return isPlain(chosen) && chosen.case === field.localName;
}

function isPlain(value: unknown): value is Plain {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
