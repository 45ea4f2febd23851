import type { IncomingHttpHeaders } from 'node:http2';
import { GitalyError } from '#base/gitaly-error';
import { GRPC_TIMEOUT } from '#rpc/common/header-names';
import { malformedBinary } from './malformed-binary.ts';

const CONTENT_TYPE = /^application\/grpc(?:[+;]|$)/;
const TIMEOUT_UNIT = /[HMSmun]$/;

/** A request that no handler gets. */
export interface Refusal {
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
): Refusal | undefined {
  const type = headers['content-type'] ?? '';
  if (!CONTENT_TYPE.test(type)) {
    return {
      httpStatus: 415,
      error: new GitalyError('INVALID_ARGUMENT', `invalid gRPC request content-type ${JSON.stringify(type)}`),
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
