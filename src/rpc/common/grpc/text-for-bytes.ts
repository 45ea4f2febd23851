import { type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';

/**
 * Returns the path of a field that is declared as bytes and has a text, which programs without
 * types pass; `undefined` if there is none.
 */
export function textForBytes(schema: DescMessage, message: Message, path = ''): string | undefined {
  const fields = reflect(schema, message, false);
  for (const field of schema.fields) {
    const values: unknown = Reflect.get(message, field.localName);
    const name = `${path}${field.localName}`;
    const isBytes = field.fieldKind !== 'map' && field.scalar === ScalarType.BYTES;
    if (isBytes && [values].flat().some((value) => typeof value === 'string')) return name;
    if (field.fieldKind !== 'message' || !fields.isSet(field)) continue;
    const found = textForBytes(field.message, fields.get(field).message, `${name}.`);
    if (found !== undefined) return found;
  }
  return undefined;
}
