import { clone, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import type { ErrorDetail } from '#base/gitaly-error';
import { registry } from '#wire/registry';

/**
 * Returns error details whose texts (`string` and `bytes`, at any depth) have at most `maxBytes`
 * each. A detail of a type that the wire does not know is returned as it is.
 */
export function shortenTexts(details: readonly ErrorDetail[], maxBytes: number): ErrorDetail[] {
  return details.map((detail) => {
    const schema = registry.getMessage(detail.$typeName);
    if (schema === undefined) return detail;
    // Its type name shows that it is a message of this schema.
    const copy = clone(schema, detail as Message);
    shortenFields(reflect(schema, copy), maxBytes);
    return copy;
  });
}

/** Returns the beginning of a text, in whole characters. */
export function shortenText(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text);
  let end = maxBytes;
  while (end > 0 && isInsideCharacter(bytes[end])) end--;
  return bytes.toString('utf8', 0, end);
}

/** Reports whether a byte of UTF-8 continues a character. */
function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function shortenFields(message: ReflectMessage, maxBytes: number): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === 'message') shortenFields(message.get(field), maxBytes);
    else if (field.fieldKind === 'list' && field.listKind === 'message') {
      // The items of a list of messages.
      for (const item of message.get(field)) shortenFields(item as ReflectMessage, maxBytes);
    } else if (field.fieldKind === 'scalar') {
      const value: unknown = message.get(field);
      if (typeof value === 'string') message.set(field, shortenText(value, maxBytes));
      else if (value instanceof Uint8Array) message.set(field, value.subarray(0, maxBytes));
    }
  }
}
