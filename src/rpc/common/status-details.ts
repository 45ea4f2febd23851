import { create, fromBinary, isMessage, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import { type ErrorDetail, GitalyError, type StatusCode } from '#base/gitaly-error';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';
import { registry } from '#wire/registry';
import { statusNumber } from './status-code.ts';

/** Packs code, message and details as `google.rpc.Status`. Details of a type that the wire does not know are left out. */
export function packStatus(error: GitalyError): Uint8Array {
  const details = error.details.map(packDetail).filter((detail) => detail !== undefined);
  return toBinary(StatusSchema, create(StatusSchema, { code: statusNumber(error.code), message: error.message, details }));
}

/**
 * Unpacks the details of a `google.rpc.Status`. A detail of an unknown type stays a `google.protobuf.Any`, so that a proxy can hand
 * it on. Bytes that are not a Status give no details: the code and the message of the headers still count.
 */
export function unpackDetails(bytes: Uint8Array): ErrorDetail[] {
  try {
    return fromBinary(StatusSchema, bytes).details.map(unpackDetail);
  } catch {
    return []; // a broken detail must not hide the error it belongs to
  }
}

/** Makes the error that a client throws from what the server sent. */
export function statusError(code: StatusCode, message: string, details: Uint8Array | undefined): GitalyError {
  return new GitalyError(code, message, { details: details === undefined ? [] : unpackDetails(details) });
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
