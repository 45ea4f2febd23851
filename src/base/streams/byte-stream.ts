import type { Readable } from 'node:stream';

/** A stream without an encoding, such as a pipe, a socket or a response: it yields Buffers. */
export interface ByteStream extends Readable {
  read(size?: number): Buffer | null;
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Buffer>;
}

/** Returns the pieces of a stream without an encoding. */
export function piecesOf(stream: ByteStream): AsyncIterable<Buffer> {
  return stream;
}
