import { GitalyError } from '#base/gitaly-error';

// Texts of grpc-go.
const BAD_REQUEST = 'grpc: error unmarshalling request';
const BAD_MESSAGE = 'grpc: failed to unmarshal the received message';

/**
 * Returns the error for a message that cannot be decoded. @param isOnly true if the method has
 * exactly one request.
 */
export function decodeError(error: unknown, { isOnly = false } = {}): GitalyError {
  const text = isOnly ? BAD_REQUEST : BAD_MESSAGE;
  return new GitalyError('INTERNAL', `${text}: ${failureOf(error)}`, { cause: error });
}

/** Returns Go's text for a malformed message. */
function failureOf(error: unknown): string {
  return isUtf8Failure(error)
    ? 'string field contains invalid UTF-8'
    : 'proto: cannot parse invalid wire-format data';
}

function isUtf8Failure(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
}
