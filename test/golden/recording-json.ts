import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type Message,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Any, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { registry } from '#wire/registry';
import type { Json, JsonObject } from './recorded-case.ts';

/** Converts a request in the recordings' form (proto names, bytes as base64) to a message. */
export function messageFromRecording(schema: DescMessage, json: Json): Message {
  // The recordings are JSON; fromJson checks the shape against the schema.
  return fromJson(schema, json as never, { registry });
}

/**
 * Converts a message to the recordings' form: proto field names, bytes as base64, without default
 * values; a timestamp that JSON cannot express becomes `seconds:<n>`.
 */
export function recordingFromMessage(schema: DescMessage, message: Message): JsonObject {
  const reflected = reflect(schema, message);
  const out: JsonObject = {};
  for (const field of reflected.sortedFields) {
    if (reflected.isSet(field)) out[field.name] = fieldValue(reflected, field);
  }
  return out;
}

function fieldValue(message: ReflectMessage, field: DescField): Json {
  switch (field.fieldKind) {
    case 'message':
      return messageValue(message.get(field));
    case 'list':
      if (field.listKind === 'message') {
        const items: Json[] = [];
        // listKind guarantees it
        for (const item of message.get(field)) items.push(messageValue(item as ReflectMessage));
        return items;
      }
      return plainValue(message, field);
    default:
      return plainValue(message, field);
  }
}

function messageValue(value: ReflectMessage): Json {
  if (value.desc.typeName === TimestampSchema.typeName) return timestampValue(value);
  if (value.desc.typeName.startsWith('google.protobuf.'))
    return toJson(value.desc, value.message, { registry, useProtoFieldName: true }) as Json;
  return recordingFromMessage(value.desc, value.message);
}

function timestampValue(value: ReflectMessage): Json {
  try {
    return toJson(value.desc, value.message) as Json;
  } catch {
    // Before year 1 or after 9999: protobuf's JSON refuses it, the recordings contain the number.
    return `seconds:${String(value.get(value.desc.field.seconds as DescField))}`;
  }
}

/** Converts a scalar, enum, map, or list of those through a message with only this field. */
function plainValue(message: ReflectMessage, field: DescField): Json {
  const only = reflect(message.desc, create(message.desc));
  only.set(field, message.get(field) as never); // the same field of the same type
  const json = toJson(message.desc, only.message, { useProtoFieldName: true, registry }) as JsonObject;
  const value = json[field.name] ?? null;
  return field.scalar === ScalarType.FLOAT && typeof value === 'number' ? shortFloat(value) : value;
}

/**
 * Returns the number with the fewest digits that is equal in single precision, as Go writes it.
 */
function shortFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/**
 * Returns `{type, value}` as in the recordings' error details; `{type, raw}` for an unknown type.
 */
export function detailFromAny(any: Any): JsonObject {
  const type = any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1);
  const schema = registry.getMessage(type);
  if (schema === undefined) return { type, raw: Buffer.from(any.value).toString('base64') };
  return { type, value: recordingFromMessage(schema, fromBinary(schema, any.value)) };
}
