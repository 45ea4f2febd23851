import { isMessage } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ErrorDetail } from '#base/gitaly-error';
import { registry } from '#wire/registry';

/** Packs details for the wire. Details of an unknown type are omitted. */
export function packDetails(details: readonly ErrorDetail[]): Any[] {
  return details.map(packDetail).filter((detail) => detail !== undefined);
}

/**
 * Unpacks received details. One of an unknown type stays a `google.protobuf.Any`, so that a proxy
 * can pass it on.
 */
export function unpackDetails(details: readonly ErrorDetail[]): ErrorDetail[] {
  return details.map((detail) => (isMessage(detail, AnySchema) ? unpackDetail(detail) : detail));
}

function packDetail(detail: ErrorDetail): Any | undefined {
  if (isMessage(detail, AnySchema)) return detail;
  const schema = registry.getMessage(detail.$typeName);
  return schema !== undefined && isMessage(detail, schema) ? anyPack(schema, detail) : undefined;
}

function unpackDetail(detail: Any): ErrorDetail {
  try {
    return anyUnpack(detail, registry) ?? detail;
  } catch {
    return detail; // known type, malformed content
  }
}
