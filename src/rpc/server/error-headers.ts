import type { OutgoingHttpHeaders } from 'node:http2';
import { clone, create, type Message, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import type { ErrorDetail, GitalyError } from '#base/gitaly-error';
import { trimmedEnd } from '#base/trim';
import { percentEncode } from '#rpc/common/grpc/percent-encoding';
import { GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS } from '#rpc/common/header-names';
import { statusNumber } from '#rpc/common/status-code';
import { packDetails } from '#rpc/common/typed-details';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';
import { registry } from '#wire/registry';

/** HPACK counts 32 bytes for every header in addition to its name and value (RFC 7541, 4.1). */
const HEADER_OVERHEAD_BYTES = 32;
/**
 * Space for the headers around a status: `:status`, `content-type`, `grpc-status` and a few
 * trailers of a handler.
 */
const RESERVED_BYTES = 1024;

/**
 * Shorter texts are left alone: ids and names of references, which a client needs whole. Where they
 * do not fit either, there are no details.
 */
const MIN_TEXT_BYTES = 256;

/**
 * Returns the headers that end a call with an error. Where the peer's limit on header lists
 * (`maxBytes`) has no space for all of them, the message and the texts in the details (a hook's
 * output) are shortened to the same length, so that a client still finds a detail of the type that
 * it searches for. The code always arrives.
 */
export function errorHeaders(error: GitalyError, maxBytes: number): OutgoingHttpHeaders {
  const space = maxBytes - RESERVED_BYTES;
  const headers = { [GRPC_STATUS]: String(statusNumber(error.code)) };
  if (error.message.length <= space) {
    const whole = { ...messageHeader(error.message), ...detailsHeader(error) };
    if (sizeOf(whole) <= space) return { ...headers, ...whole };
  }
  const shortened = error.details.length === 0 ? undefined : shortenedHeaders(error, space);
  return { ...headers, ...(shortened ?? cutMessageHeader(error.message, space)) };
}

type Headers = Readonly<Record<string, string>>;

/** Shortens the texts as little as needed; `undefined` when that is too much. */
function shortenedHeaders(error: GitalyError, space: number): Headers | undefined {
  let found: Headers | undefined;
  let [low, high] = [MIN_TEXT_BYTES, Math.max(space, MIN_TEXT_BYTES)];
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const { code } = error;
    const message = shortenText(error.message.toWellFormed(), middle);
    const details = shortenTexts(error.details, middle);
    const headers = { ...messageHeader(message), ...detailsHeader({ code, message, details }) };
    if (sizeOf(headers) <= space) {
      found = headers;
      low = middle + 1;
    } else high = middle - 1;
  }
  return found;
}

function cutMessageHeader(message: string, space: number): Headers {
  const available = Math.max(space - GRPC_MESSAGE.length - HEADER_OVERHEAD_BYTES, 0);
  // Encoding never shortens a text.
  const encoded = percentEncode(message.slice(0, available));
  if (message.length <= available && encoded.length <= available) return { [GRPC_MESSAGE]: encoded };
  return { [GRPC_MESSAGE]: encoded.slice(0, available).replace(/%.?$/, '') };
}

function messageHeader(message: string): Headers {
  return message === '' ? {} : { [GRPC_MESSAGE]: percentEncode(message) };
}

/** Code, message and details as `google.rpc.Status`. */
function detailsHeader({
  code,
  details,
  message,
}: Pick<GitalyError, 'code' | 'details' | 'message'>): Headers {
  if (details.length === 0) return {};
  const status = create(StatusSchema, { code: statusNumber(code), message, details: packDetails(details) });
  const bytes = Buffer.from(toBinary(StatusSchema, status));
  return { [GRPC_STATUS_DETAILS]: trimmedEnd(bytes.toString('base64'), '=') };
}

/** The size of headers as HPACK counts it. */
function sizeOf(headers: Headers): number {
  const sizes = Object.entries(headers).map(([name, value]) => name.length + value.length);
  return sizes.reduce((total, size) => total + size + HEADER_OVERHEAD_BYTES, 0);
}

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
