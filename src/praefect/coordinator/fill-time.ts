import { create, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { MethodInfo } from '#wire/method-info';

/**
 * Sets the time of a change to now if the client has left it open. Otherwise each node would use
 * its own clock, and a node whose commit is from another second would lose the vote.
 */
export function fillTime({ input }: MethodInfo, request: Message): void {
  const message = reflect(input, request);
  fill(message);
  // The first message of a stream has its fields in a header.
  for (const field of input.fields) {
    if (field.fieldKind !== 'message' || timeOf(field.message) === undefined) continue;
    if (message.isSet(field)) fill(message.get(field));
  }
}

function fill(message: ReflectMessage): void {
  const field = timeOf(message.desc);
  if (field === undefined || message.isSet(field)) return;
  const seconds = BigInt(Math.floor(Date.now() / 1000));
  message.set(field, reflect(TimestampSchema, create(TimestampSchema, { seconds })));
}

function timeOf({ fields }: DescMessage): DescField | undefined {
  return fields.find(
    ({ message, name }) => name === 'timestamp' && message?.typeName === TimestampSchema.typeName,
  );
}
