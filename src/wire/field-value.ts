import type { DescField, Message } from '@bufbuild/protobuf';

/** Returns the value of a field; `undefined` if it is absent or a oneof has another case. */
export function fieldValue(message: Message, field: DescField): unknown {
  const properties = propertiesOf(message);
  if (field.oneof === undefined) return properties[field.localName];
  // The property of a oneof is always such an object (protobuf-es).
  const choice = properties[field.oneof.localName] as
    | { case: string | undefined; value?: unknown }
    | undefined;
  return choice?.case === field.localName ? choice.value : undefined;
}

/** Sets a field to a value of its type. */
export function setFieldValue(message: Message, { localName, oneof }: DescField, value: unknown): void {
  const properties = propertiesOf(message);
  if (oneof) properties[oneof.localName] = { case: localName, value };
  else properties[localName] = value;
}

function propertiesOf(message: unknown): Record<string, unknown> {
  // Generated messages are plain objects whose property names are the local names of fields and
  // oneofs.
  return message as Record<string, unknown>;
}
