import type { OutgoingHttpHeaders } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import type { GitalyError } from '#base/gitaly-error';
import { GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS } from '#rpc/common/header-names';
import { percentEncode } from '#rpc/common/percent-encoding';
import { statusNumber } from '#rpc/common/status-code';
import { packDetails } from '#rpc/common/typed-details';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';

/** HPACK counts 32 bytes for every header besides its name and value (RFC 7541, 4.1). */
const HEADER_OVERHEAD_BYTES = 32;
/** Room for the headers around a status: `:status`, `content-type`, `grpc-status` and a few trailers of a handler. */
const RESERVED_BYTES = 1024;

/**
 * The headers that end a call with an error. What the peer's limit on header lists (`maxBytes`) has no room for is given up:
 * first the details, then the end of the message. The code always arrives.
 */
export function errorHeaders(error: GitalyError, maxBytes: number): OutgoingHttpHeaders {
  let room = maxBytes - RESERVED_BYTES;
  const headers: OutgoingHttpHeaders = { [GRPC_STATUS]: String(statusNumber(error.code)) };
  if (error.message !== '') {
    const message = percentEncode(error.message.toWellFormed());
    const available = room - GRPC_MESSAGE.length - HEADER_OVERHEAD_BYTES;
    headers[GRPC_MESSAGE] = message.length <= available ? message : message.slice(0, Math.max(available, 0)).replace(/%.?$/, '');
    room -= Math.min(message.length, available) + GRPC_MESSAGE.length + HEADER_OVERHEAD_BYTES;
  }
  if (error.details.length > 0) {
    const details = Buffer.from(packStatus(error)).toString('base64').replace(/=+$/, '');
    if (details.length + GRPC_STATUS_DETAILS.length + HEADER_OVERHEAD_BYTES <= room) headers[GRPC_STATUS_DETAILS] = details;
  }
  return headers;
}

/** Code, message and details as `google.rpc.Status`. */
function packStatus({ code, details, message }: GitalyError): Uint8Array {
  const status = create(StatusSchema, { code: statusNumber(code), message, details: packDetails(details) });
  return toBinary(StatusSchema, status);
}
