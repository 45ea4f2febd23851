import { isMessage } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ErrorDetail } from '#base/gitaly-error';
import { registry } from '#wire/registry';

/** Details as they travel. Those of a type that the wire does not know are left out. */
export function packDetails(details: readonly ErrorDetail[]): Any[] {
  return details.map(packDetail).filter((detail) => detail !== undefined);
}

/** The messages in details that travelled. One of an unknown type stays a `google.protobuf.Any`, so that a proxy can hand it on. */
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
    return detail; // known type, broken content
  }
}
