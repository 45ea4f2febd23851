import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Answer } from './answer.ts';

/**
 * The body of a request, unpacked where it is packed. Unpacking goes on only while the body is read, so a small request cannot fill
 * the memory.
 *
 * @returns the bytes, or the answer to a packing that is not understood.
 */
export function requestBody(request: IncomingMessage): Readable | { readonly answer: Answer } {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  switch (encoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return request;
    case 'gzip':
    case 'x-gzip':
      // The result carries the error of either stream; whoever reads it is told.
      return pipeline(request, createGunzip(), () => {});
    default:
      return { answer: { status: 415, text: 'The content encoding is not understood. Send the body as it is or with gzip.' } };
  }
}

/** Whether reading a body failed because of what the client sent. */
export function isMalformedBody(body: Readable): boolean {
  const { errored } = body;
  return errored !== null && 'code' in errored && typeof errored.code === 'string' && errored.code.startsWith('Z_');
}
