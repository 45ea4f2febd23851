import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { GitalyError, messageOf } from '#base/gitaly-error';

/** Encodings that both sides accept; value of `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = 'identity,gzip';

export type MessageEncoding = 'identity' | 'gzip';

/** Parses a `grpc-encoding` header. Returns `undefined` for an unsupported encoding. */
export function parseEncoding(header: string | undefined): MessageEncoding | undefined {
  if (header === undefined || header === '' || header === 'identity') return 'identity';
  return header === 'gzip' ? 'gzip' : undefined;
}

/** Four times Node's default: each piece is sent to another thread and back. */
const CHUNK_BYTES = 65_536;
const unzip = promisify(gunzip);

/**
 * Decompresses a message that is marked as compressed, in another thread. Stops at the limit, which
 * also applies to the decompressed size.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED above the limit, INTERNAL for bytes that are not gzip or
 *   when no encoding was announced.
 */
export async function decompress(
  payload: Buffer,
  encoding: MessageEncoding,
  maxBytes: number,
): Promise<Buffer> {
  if (encoding === 'identity')
    throw new GitalyError('INTERNAL', 'grpc: compressed flag set with identity or empty encoding');
  try {
    return await unzip(payload, { chunkSize: CHUNK_BYTES, maxOutputLength: Math.max(maxBytes, 1) });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new GitalyError(
        'RESOURCE_EXHAUSTED',
        `grpc: received message after decompression larger than max ${maxBytes}`,
        {
          cause: error,
        },
      );
    }
    throw new GitalyError(
      'INTERNAL',
      `grpc: failed to decompress the received message: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
