import type { OutgoingHttpHeaders } from 'node:http2';
import { GitalyError } from '#base/gitaly-error';
import { GRPC_MESSAGE, GRPC_STATUS, GRPC_STATUS_DETAILS } from '../header-names.ts';
import type { Metadata } from '../metadata.ts';
import { statusCode } from '../status-code.ts';
import { statusError } from '../status-details.ts';
import { percentDecode } from './percent-encoding.ts';

/** Keys that metadata may not set because the transport uses them, in addition to `grpc-…`. */
const RESERVED_KEYS: ReadonlySet<string> = new Set([
  'content-type',
  'user-agent',
  'te',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

function isReserved(key: string): boolean {
  return key.startsWith('grpc-') || RESERVED_KEYS.has(key);
}

/**
 * Adds metadata to headers that are about to be sent. Keys of the transport are omitted, as in
 * grpc-go.
 */
export function addMetadata(headers: OutgoingHttpHeaders, metadata: Metadata): void {
  metadata.forEachWire((key, value) => {
    if (isReserved(key)) return;
    const present = headers[key];
    if (present === undefined) headers[key] = value;
    else if (Array.isArray(present)) present.push(value);
    else headers[key] = [String(present), value];
  });
}

/**
 * Adds metadata like {@link addMetadata} to headers in the form of a flat list of names and values.
 */
export function pushMetadata(headers: string[], metadata: Metadata): void {
  metadata.forEachWire((key, value) => {
    if (!isReserved(key)) headers.push(key, value);
  });
}

/**
 * Reads the status of a call from its trailers (or from the headers of a trailers-only response):
 * the error, or `undefined` for OK. `missing` returns the error for a missing `grpc-status`.
 */
export function readStatus(trailers: Metadata, missing: () => GitalyError): GitalyError | undefined {
  const text = trailers.get(GRPC_STATUS);
  if (text === undefined) return missing();
  if (text === '0') return undefined;
  const number = /^[0-9]{1,3}$/.test(text) ? Number(text) : -1;
  if (number === 0) return undefined;
  return statusError(
    statusCode(number),
    percentDecode(trailers.get(GRPC_MESSAGE) ?? ''),
    trailers.getBytes(GRPC_STATUS_DETAILS),
  );
}

const HTTP_CODES = new Map([
  [400, 'INTERNAL'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'UNIMPLEMENTED'],
  [429, 'UNAVAILABLE'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [504, 'UNAVAILABLE'],
] as const);

/**
 * Returns the error for a response that is not gRPC (HTTP status other than 200), after gRPC's
 * table; text of grpc-go.
 */
export function httpStatusError(status: number): GitalyError {
  const known: ReadonlyMap<number, GitalyError['code']> = HTTP_CODES;
  return new GitalyError(
    known.get(status) ?? 'UNKNOWN',
    `unexpected HTTP status code received from server: ${status}`,
  );
}
