import { gunzipSync } from 'node:zlib';
import { GitalyError, messageOf } from '#base/gitaly-error';

/** What both sides accept; value of `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = 'identity,gzip';

export type MessageEncoding = 'identity' | 'gzip';

/** Reads a `grpc-encoding` header; `undefined` for an encoding that we do not have. */
export function parseEncoding(header: string | undefined): MessageEncoding | undefined {
  if (header === undefined || header === '' || header === 'identity') return 'identity';
  return header === 'gzip' ? 'gzip' : undefined;
}

/**
 * Unpacks a message whose prefix says that it is compressed. The limit holds for the unpacked size too.
 * @throws {GitalyError} RESOURCE_EXHAUSTED above the limit, INTERNAL for bytes that are not gzip or when no encoding was announced.
 */
export function decompress(payload: Buffer, encoding: MessageEncoding, maxBytes: number): Buffer {
  if (encoding === 'identity') throw new GitalyError('INTERNAL', 'grpc: compressed flag set with identity or empty encoding');
  try {
    return gunzipSync(payload, { maxOutputLength: Math.max(maxBytes, 1) });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new GitalyError('RESOURCE_EXHAUSTED', `grpc: received message after decompression larger than max ${maxBytes}`, {
        cause: error,
      });
    }
    throw new GitalyError('INTERNAL', `grpc: failed to decompress the received message: ${messageOf(error)}`, { cause: error });
  }
}
