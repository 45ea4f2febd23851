import type { IncomingHttpHeaders } from 'node:http2';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { GRPC_TIMEOUT } from '#rpc/common/header-names';

const CONTENT_TYPE = /^application\/grpc(?:[+;]|$)/;
const TIMEOUT_UNIT = /[HMSmun]$/;

/** A request that no handler gets. */
export interface CallRefusal {
  readonly httpStatus: number;
  readonly error: GitalyError;
}

/**
 * Returns the refusal of a request that is not valid gRPC. Codes and texts are grpc-go's.
 *
 * @param timeoutMs NaN for a malformed `grpc-timeout`.
 */
export function refusalOf(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  timeoutMs: number | undefined,
): CallRefusal | undefined {
  const type = headers['content-type'] ?? '';
  if (!CONTENT_TYPE.test(type)) {
    return {
      httpStatus: 415,
      error: invalidArgument(`invalid gRPC request content-type ${JSON.stringify(type)}`),
    };
  }
  if (Number.isNaN(timeoutMs)) {
    const text = `malformed grpc-timeout: ${timeoutProblem(String(headers[GRPC_TIMEOUT]))}`;
    return { httpStatus: 400, error: new GitalyError('INTERNAL', text) };
  }
  const malformed = malformedBinary(rawHeaders);
  if (malformed !== undefined) {
    const { name, value, at } = malformed;
    const text =
      `malformed binary metadata ${JSON.stringify(value)} in header ${JSON.stringify(name)}: ` +
      `illegal base64 data at input byte ${at}`;
    return { httpStatus: 400, error: new GitalyError('INTERNAL', text) };
  }
  const method = headers[':method'] ?? '';
  if (method !== 'POST') {
    const text = `Received a HEADERS frame with :method ${JSON.stringify(method)} which should be POST`;
    return { httpStatus: 405, error: new GitalyError('INTERNAL', text) };
  }
  return undefined;
}

function timeoutProblem(text: string): string {
  const quoted = JSON.stringify(text);
  if (text.length < 2) return `transport: timeout string is too short: ${quoted}`;
  if (text.length > 9) return `transport: timeout string is too long: ${quoted}`;
  if (!TIMEOUT_UNIT.test(text)) return `transport: timeout unit is not recognized: ${quoted}`;
  return `strconv.ParseUint: parsing ${JSON.stringify(text.slice(0, -1))}: invalid syntax`;
}

/** A header `-bin` whose value is not Base64. */
interface MalformedBinary {
  readonly name: string;
  readonly value: string;
  /** Offset of the first byte that does not belong there, as Go counts it. */
  readonly at: number;
}

const LOWER_N = 0x6e;
const PADDING = '=';
const NOT_A_DIGIT = /[^A-Za-z0-9+/]/;

/**
 * Returns the first of the headers `-bin` that is not Base64. Padding is optional. Unlike grpc-go,
 * several values may be joined by commas, as the specification of gRPC demands.
 *
 * @param rawHeaders names and values in turn; names are in lower case.
 */
export function malformedBinary(rawHeaders: readonly string[]): MalformedBinary | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.charCodeAt(name.length - 1) !== LOWER_N || !name.endsWith('-bin')) continue;
    const value = rawHeaders[index + 1] ?? '';
    const at = illegalByte(value);
    if (at !== undefined) return { name, value, at };
  }
  return undefined;
}

function illegalByte(value: string): number | undefined {
  let start = 0;
  for (const part of value.split(',')) {
    const at = illegalByteOf(part);
    if (at !== undefined) return start + at;
    start += part.length + 1;
  }
  return undefined;
}

/** Go decodes a value whose length is a multiple of four with padding, any other one without. */
function illegalByteOf(part: string): number | undefined {
  const illegal = part.search(NOT_A_DIGIT);
  const digits = illegal === -1 ? part.length : illegal;
  const rest = digits % 4;
  if (part.length % 4 === 0) {
    if (illegal === -1) return undefined;
    if (part[digits] !== PADDING || rest < 2) return digits;
    const end = digits + 4 - rest;
    if (part.slice(digits, end) !== PADDING.repeat(4 - rest)) return digits;
    return end === part.length ? undefined : end;
  }
  if (illegal !== -1) return illegal;
  return rest === 1 ? digits - 1 : undefined;
}
